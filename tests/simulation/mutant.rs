//! Deliberate mistakes: a checker that never fails proves nothing.
//!
//! Most are wrappers around the plan, which change what it sees or what it says; the core is left as it is.

use std::sync::Arc;

use jiff::SignedDuration;
use kanary::{
    api::{ConditionType, ManualOverride, ManualStatus, Phase, names},
    decision::{Action, DryRun, Kind, Observed, Patch, Plan, StatusUpdate},
    lifecycle::{
        self, base, children,
        driver::Driver,
        step::{Done, Step, StepError, Wait},
    },
    objects::{Listed, Object},
    promql::{ClockMark, Evaluation, Evidence, Outcome},
};
use serde_json::json;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mutant {
    #[default]
    None,
    /// Takes whatever base there is for the one that was pinned.
    BlindToTheBase,
    /// Promotes without looking whether the base is as observed.
    Unguarded,
    /// Promotes as soon as it has decided to, and persists the verdict later.
    ActsBeforeItTells,
    /// Forgets that it has promoted.
    PromotesTwice,
    /// Creates a base again that a user deleted.
    RecreatesTheBase,
    /// Takes an item without evidence for a valid one.
    BelievesUnknown,
    /// Takes a manual verdict that stayed in the spec for one on the present run.
    BelievesOldWords,
    /// Counts the time in which no controller was watching.
    IgnoresAbsences,
    /// Knows only of the last absence, as if the others were not kept.
    ForgetsAbsences,
    /// Counts the time in which the canary was not available.
    IgnoresHolds,
    /// Leaves all labels in the canary's template.
    LeavesLabelsIn,
    /// Moves pods into production while the run fails.
    KeepsPodsIn,
    /// Leaves pods in production when the source requests something else.
    ForgetsToMovePods,
    /// Takes a canary that another client edited for its own.
    IgnoresEdits,
    /// Deletes the canary before its pods have left production.
    DeletesTooEarly,
    /// Deletes the canary as soon as the verdict is there.
    CleansUpAtOnce,
    /// Forgets a Service of its own at the end.
    ForgetsAChild,
    /// Takes over a Deployment that has the canary's name.
    TakesWhatIsThere,
    /// Plans before it has seen what it wrote, but for its status.
    ForgetsItsWrites,
    /// Writes its status each time it observes.
    NeverSilent,
    /// Does not remove what arrives after the end.
    ForgetsStragglers,
    /// Leaves the mirror in users' routes when a run fails.
    KeepsTheMirror,
    /// Writes all routes of a VirtualService again instead of one entry.
    ReplacesTheRoutes,
    /// Takes the mirror out by its index, without checking whether the routes are as observed.
    UnguardedRoutes,
    /// Writes into people's routes without a finalizer.
    ForgetsTheFinalizer,
    /// Takes the finalizer off because it remembers no mirror.
    TrustsItsMemory,
    /// Takes an answer that says nothing for a good one.
    BelievesDoubts,
    /// Counts a false answer each time it looks at it.
    CountsTwice,
    /// Lets the clock run while Prometheus says nothing.
    RunsWithoutAnswers,
    /// Is content with an answer from before the deadline.
    BelievesOldAnswers,
    /// Goes on after a request that failed as if it had succeeded.
    ForgetsFaults,
    /// Tries again at once whatever failed.
    NeverBacksOff,
    /// Writes the status of a plan before its actions.
    ReportsBeforeItActs,
    /// Loses what Prometheus answered.
    LosesResults,
    /// Takes the base's pods for pods of the template.
    ForgetsWhatServicesSelect,
    /// Takes any label that a Service selects by for one of the template's.
    LabelsAsServicesLike,
    /// Takes nothing for its own that has no owner reference.
    DisownsItsOwn,
    /// Creates what its store lacks, without a look at the API server.
    CreatesFromMemory,
}

/// Mistakes of the driver: what it is given, and what it says.
impl Mutant {
    /// The result of a request, as it reaches the driver.
    pub fn result(self, result: Result<Done, StepError>) -> Result<Done, StepError> {
        match result {
            Err(StepError::Failed(_)) if self == Self::ForgetsFaults => Ok(Done::Written),
            result => result,
        }
    }

    /// The step of a driver that has nothing to write.
    pub fn settle(self, step: Step) -> Step {
        match step {
            Step::Sleep(Wait::BackOff(_)) if self == Self::NeverBacksOff => Step::Observe,
            step => step,
        }
    }

    /// The next write.
    pub fn reorder(self, step: Step, driver: &Driver) -> Step {
        match (step, &driver.plan().status) {
            (Step::Apply(_), Some(status)) if self == Self::ReportsBeforeItActs => {
                Step::WriteStatus(Box::new(status.clone()))
            }
            (step, _) => step,
        }
    }
}

impl Mutant {
    /// The plan of the core, less or more the mistake.
    pub fn plan(self, seen: &Observed) -> Plan {
        if self == Self::None {
            return lifecycle::plan(seen);
        }
        // Whoever is mistaken about a success does not see that it would have to be checked.
        let mut view = Observed { is_fresh: true, ..seen.clone() };
        self.blur(&mut view);
        let mut plan = lifecycle::plan(&view);
        self.spoil(seen, &mut plan);
        plan
    }

    /// What it sees wrongly.
    fn blur(self, seen: &mut Observed) {
        match self {
            Self::BlindToTheBase => pretend_base_is_pinned(seen),
            Self::PromotesTwice => {
                pretend_base_is_pinned(seen);
                let status = status_of(seen);
                status.conditions.retain(|condition| condition.type_ != ConditionType::DeploymentUpdated);
                if let Some(base) = seen.base.as_mut().map(Arc::make_mut) {
                    base.metadata.annotations.get_or_insert_default().remove(names::PROMOTED_BY);
                }
            }
            Self::BelievesUnknown => {
                let validation = &mut Arc::make_mut(&mut seen.kanary).spec.validation;
                validation.items.clear();
                validation.manual =
                    Some(ManualOverride { status: Some(ManualStatus::Valid), ..ManualOverride::default() });
            }
            Self::BelievesOldWords => {
                let status = status_of(seen);
                let run = status.run.unwrap_or_default();
                status.manual_verdicts.iter_mut().for_each(|known| known.run = run);
            }
            Self::IgnoresAbsences => seen.absences.clear(),
            Self::IgnoresEdits => {
                let print = seen.own_canary().and_then(kanary::decision::owned::fingerprint);
                seen.stored.clear();
                status_of(seen).canary.get_or_insert_default().deployment_hash = print;
            }
            Self::IgnoresHolds => status_of(seen).held_since = None,
            Self::KeepsTheMirror if seen.status().phase == Some(Phase::Failing) => {
                let uid = seen.kanary.uid().to_owned();
                if let Listed::All(routes) = &mut seen.routes.virtual_services {
                    routes.retain(|route| route.is_owned_by(&uid));
                }
                seen.routes.is_fresh = true;
            }
            Self::ForgetsTheFinalizer => {
                Arc::make_mut(&mut seen.kanary).metadata.finalizers = Some(vec![names::MIRROR_FINALIZER.into()]);
            }
            Self::TrustsItsMemory => seen.routes.is_fresh = true,
            Self::BelievesDoubts => replies(seen).for_each(|evaluation| {
                if let Outcome::Unknown(_) = &evaluation.outcome {
                    evaluation.outcome = Outcome::True(evidence());
                    evaluation.conclusive = Some(ClockMark { at: evaluation.at, held: SignedDuration::ZERO });
                }
            }),
            Self::CountsTwice => {
                status_of(seen).items.iter_mut().for_each(|item| item.last_failure = None);
            }
            Self::RunsWithoutAnswers => {
                let now = Some(ClockMark { at: seen.now, held: SignedDuration::MAX });
                replies(seen).for_each(|evaluation| (evaluation.conclusive, evaluation.previous) = (now, now));
            }
            Self::BelievesOldAnswers => {
                let deadline = status_of(seen).deadline;
                let last = seen.now.min(deadline.unwrap_or(seen.now));
                replies(seen).for_each(|evaluation| evaluation.at = evaluation.at.max(last));
            }
            Self::ForgetsWhatServicesSelect => {
                let labels = seen.kanary.spec.template.pod_labels();
                if let Some(base) = seen.base.as_mut().map(Arc::make_mut) {
                    base.spec.template.labels = labels;
                }
            }
            Self::LabelsAsServicesLike => pretend_labels_fit(seen),
            Self::DisownsItsOwn => {
                if let Some(canary) = &mut status_of(seen).canary {
                    canary.uids.clear();
                }
            }
            Self::ForgetsAChild if seen.status().phase == Some(Phase::Failing) => {
                let uid = seen.kanary.uid().to_owned();
                seen.services.retain(|service| !service.is_owned_by(&uid));
            }
            _ => {}
        }
    }

    /// What it does wrongly.
    fn spoil(self, seen: &Observed, plan: &mut Plan) {
        let phase = seen.status().phase;
        match self {
            Self::Unguarded | Self::UnguardedRoutes => plan.actions.iter_mut().for_each(|action| self.unguard(action)),
            Self::ReplacesTheRoutes => plan.actions.iter_mut().for_each(replace_routes),
            Self::ActsBeforeItTells => {
                let decides = plan.status.as_ref().is_some_and(|tell| tell.status.phase == Some(Phase::Promoting));
                if decides && phase == Some(Phase::Validating) {
                    plan.actions.extend(base::promote(seen));
                }
            }
            Self::RecreatesTheBase => {
                let pinned = seen.status().base.as_ref().is_some_and(|base| base.template_hash.is_some());
                if pinned && seen.base.is_none() && phase == Some(Phase::Failing) {
                    plan.actions = vec![base::create(seen)];
                }
            }
            Self::LeavesLabelsIn => plan.actions.iter_mut().for_each(|action| leave_labels_in(seen, action)),
            Self::KeepsPodsIn if phase == Some(Phase::Failing) => {
                plan.actions.retain(|action| action.target().kind != Kind::Pod);
                if plan.actions.is_empty() {
                    plan.actions = children::remove_all(seen);
                }
            }
            Self::ForgetsToMovePods
                if phase == Some(Phase::Validating) && !seen.kanary.spec.traffic.source.joins_production() =>
            {
                plan.actions.retain(|action| action.target().kind != Kind::Pod);
            }
            Self::DeletesTooEarly if phase == Some(Phase::Failing) => {
                plan.actions.retain(|action| action.target().kind == Kind::Pod);
                plan.actions.extend(children::remove_all(seen));
            }
            Self::CleansUpAtOnce if phase == Some(Phase::Promoting) && plan.actions.is_empty() => {
                plan.actions = children::remove_all(seen);
            }
            Self::TakesWhatIsThere => plan.actions.extend(take_services(seen)),
            Self::NeverSilent if plan.status.is_none() => {
                let mut status = seen.status().clone();
                status.message = Some(format!("all is well at {}", seen.now));
                plan.status = status.phase.map(|_| StatusUpdate { status, notices: Vec::new(), can_wait: false });
            }
            Self::ForgetsStragglers if phase.is_some_and(Phase::is_over) => plan.actions.clear(),
            _ => {}
        }
    }
}

impl Mutant {
    fn unguard(self, action: &mut Action) {
        let is_meant = match action {
            Action::Promote { .. } => self == Self::Unguarded,
            Action::Patch { target, .. } => self == Self::UnguardedRoutes && target.kind == Kind::VirtualService,
            Action::Create { .. } | Action::CreateBase { .. } | Action::Delete { .. } => false,
        };
        if let (
            true,
            Action::Promote { patch: Patch::Json(operations), .. }
            | Action::Patch { patch: Patch::Json(operations), .. },
        ) = (is_meant, action)
        {
            operations.retain(|operation| operation["path"] != "/metadata/resourceVersion");
        }
    }
}

fn replies(seen: &mut Observed) -> impl Iterator<Item = &mut Evaluation> {
    seen.answers.values_mut().filter_map(|asked| asked.last.as_mut())
}

fn evidence() -> Evidence {
    Evidence { message: "all is well".into(), value: "1".into(), bound: "true".into(), samples: 1 }
}

fn status_of(seen: &mut Observed) -> &mut kanary::api::KanaryDeploymentStatus {
    Arc::make_mut(&mut seen.kanary).status.get_or_insert_default()
}

fn pretend_base_is_pinned(seen: &mut Observed) {
    let Some(pinned) = seen.status().base.clone() else { return };
    let (Some(base), Some(hash)) = (seen.base.as_mut().map(Arc::make_mut), pinned.template_hash) else { return };
    base.spec.template.hash = hash;
    base.metadata.uid = Some(pinned.uid);
    if let Some(revision) = pinned.revision {
        base.metadata.annotations.get_or_insert_default().insert(names::REVISION.into(), revision);
    }
}

/// As if an admission webhook had added the labels.
fn pretend_labels_fit(seen: &mut Observed) {
    let selector = seen.service().map(|service| service.spec.selector.clone()).unwrap_or_default();
    let Some(base) = seen.base.as_mut().map(Arc::make_mut) else { return };
    base.spec.template.labels.extend(selector.clone());
    let mut promoted = base.spec.template.clone();
    promoted.labels.extend(seen.kanary.spec.template.pod_labels());
    promoted.labels.extend(selector);
    if let Some(hash) = seen.kanary.status.as_ref().and_then(|status| status.base.as_ref()?.promoted_hash.clone()) {
        promoted.hash = hash;
    }
    seen.dry_run = Some(DryRun {
        template_hash: seen.kanary.spec.template.hash().to_owned(),
        base_hash: base.spec.template.hash.clone(),
        at: seen.now,
        outcome: Ok(promoted),
        changes: true,
    });
}

fn replace_routes(action: &mut Action) {
    let Action::Patch { target, patch: Patch::Json(operations) } = action else { return };
    let adds = operations.iter().find(|operation| operation["op"] == "add").cloned();
    if let (Kind::VirtualService, Some(adds)) = (target.kind, adds) {
        let list = if adds["value"].is_array() { adds["value"].clone() } else { json!([adds["value"]]) };
        let routes = json!([{"route": [{"destination": {"host": "web"}}], "mirrors": list}]);
        operations.truncate(1);
        operations.push(json!({"op": "replace", "path": "/spec/http", "value": routes}));
    }
}

fn leave_labels_in(seen: &Observed, action: &mut Action) {
    let Action::Create { target, object } = action else { return };
    if target.kind == Kind::Deployment {
        for (key, value) in seen.kanary.spec.template.pod_labels() {
            object["spec"]["template"]["metadata"]["labels"][&key] = json!(value);
        }
    }
}

/// Deletes another client's Service that has the kanary service's name.
fn take_services(seen: &Observed) -> Option<Action> {
    let service = seen.service_named(&names::kanary_service(&seen.kanary)).filter(|service| !seen.is_ours(*service))?;
    kanary::decision::owned::delete(Kind::Service, service)
}
