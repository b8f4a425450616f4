//! What must hold at every instant, as code. Each law has a name; a history that breaks one is told with it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kanary::{
    api::{KanaryDeployment, Phase, Template, names},
    lifecycle::{Action, Observed, Plan, Tell},
    seen::{Seen, hash},
};
use serde_json::Value;

use crate::{
    admission::covers,
    coverage::Coverage,
    evidence::{Stopwatch, is_available},
    machinery::{owned, owners, uid},
    server::{Actor, Change, Kind, Server},
    shell::Deed,
};

/// A broken law, and how.
#[derive(Debug)]
pub struct Violation {
    pub law: &'static str,
    pub how: String,
}

pub type Check = Result<(), Violation>;

pub fn ensure(holds: bool, law: &'static str, how: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Violation { law, how: how() }) }
}

/// A run: the uid of its `KanaryDeployment`, and its number.
type Run = (String, i64);

#[derive(Default)]
pub struct Checker {
    pub coverage: Coverage,
    /// Verdicts of success that were persisted, with the hash of the proven template.
    verdicts: BTreeSet<(Run, String)>,
    /// How often each run changed the template of a base.
    promotions: BTreeMap<Run, usize>,
    /// Every template that was ever asked for, by hash.
    templates: BTreeMap<String, Value>,
    stopwatches: BTreeMap<String, Stopwatch>,
    /// What became of the base, by name: resourceVersion, uid and template hash; none if it went.
    bases: BTreeMap<String, Vec<(u64, Option<(String, String)>)>>,
    /// The resourceVersion of the base that each run pinned.
    pins: BTreeMap<Run, u64>,
    /// What the production selector was when the canary's template was written, by canary.
    outside: BTreeMap<String, Value>,
}

impl Checker {
    /// After every step: what the controller did, and all that was written.
    pub fn check(&mut self, server: &mut Server, deed: &Deed) -> Check {
        let changes = std::mem::take(&mut server.changes);
        for change in &changes {
            self.remember(change);
        }
        match deed {
            Deed::Nothing => {}
            Deed::Planned { observed, plan } => self.planned(observed, plan)?,
            Deed::Acted { observed, action, done } => {
                self.note_loss(observed, done.is_err());
                for change in &changes {
                    self.acted(server, observed, action, change)?;
                }
            }
            Deed::Told { observed, tell, done } => {
                if done.is_err()
                    && let Some(watch) = self.stopwatches.get_mut(observed.kanary.uid())
                {
                    watch.lose();
                }
                for change in &changes {
                    self.told(server, observed, tell, change)?;
                }
            }
        }
        changes.iter().try_for_each(|change| self.born_outside(server, change))
    }

    fn note_loss(&mut self, observed: &Observed, failed: bool) {
        if failed && let Some(watch) = self.stopwatches.get_mut(observed.kanary.uid()) {
            watch.lose();
        }
    }

    /// Nobody watches any more.
    pub fn nobody_watches(&mut self, now: Timestamp) {
        self.stopwatches.values_mut().for_each(|watch| watch.stop(now));
    }

    /// A leader has a full view again.
    pub fn somebody_watches(&mut self, now: Timestamp) {
        self.stopwatches.values_mut().for_each(|watch| watch.resume(now));
    }

    fn remember(&mut self, change: &Change) {
        if change.kind == Kind::Kanary
            && let Some(after) = &change.after
        {
            let template = &after["spec"]["template"];
            self.templates.entry(hash::of(template)).or_insert_with(|| template.clone());
        }
        if change.kind == Kind::Deployment {
            let state = change.after.as_ref().map(|after| (uid(after), hash::of(&after["spec"]["template"])));
            let history = self.bases.entry(change.name.clone()).or_default();
            if history.last().is_none_or(|(_, last)| *last != state) {
                history.push((change.version, state));
            }
        }
        // A person who edits the canary's template, or the selector, is answered, not prevented.
        if change.actor == Actor::Person && change.kind == Kind::Deployment {
            self.outside.remove(&change.name);
        }
    }

    fn planned(&mut self, observed: &Observed, plan: &Plan) -> Check {
        self.coverage.plans += 1;
        if let Some(watch) = self.stopwatches.get_mut(observed.kanary.uid()) {
            watch.look(observed);
        }
        let early = plan.wake.is_some_and(|wake| wake < observed.now);
        ensure(!early, "wake is never in the past", || format!("{:?} at {}", plan.wake, observed.now))?;
        let targets: BTreeSet<_> = plan.actions.iter().map(Action::target).collect();
        ensure(targets.len() == plan.actions.len(), "one write an object", || format!("{:?}", plan.actions))
    }

    fn acted(&mut self, server: &Server, observed: &Observed, action: &Action, change: &Change) -> Check {
        only_its_own(observed, action, change)?;
        if let Action::CreateBase { .. } = action {
            self.coverage.bases_created += 1;
            return never_recreated(server, observed, change);
        }
        if let Action::Promote { .. } = action {
            return self.promoted(server, observed, change);
        }
        if change.kind == Kind::Pod {
            return joins_by_right(observed, change);
        }
        if change.kind == Kind::Deployment {
            let selector = observed.service().map(|service| serde_json::json!(service.spec.selector));
            self.outside.insert(change.name.clone(), selector.unwrap_or_default());
        }
        Ok(())
    }

    /// I1: one write to the base's template a run, and only after a persisted verdict on that very template.
    fn promoted(&mut self, server: &Server, observed: &Observed, change: &Change) -> Check {
        const LAW: &str = "I1";
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
        let status = observed.status();
        let run = (observed.kanary.uid().to_owned(), status.run.unwrap_or_default());
        let proven = status.template_hash.clone().unwrap_or_default();
        ensure(self.verdicts.contains(&(run.clone(), proven.clone())), LAW, || {
            format!("{run:?} writes the base without a persisted verdict on {proven}")
        })?;
        ensure(!observed.kanary.spec.validation.no_update, LAW, || "noUpdate, and the base is written".into())?;
        let template = self.templates.get(&proven).cloned().unwrap_or_default();
        let mut wanted = Value::clone(before);
        wanted["spec"]["template"] = template["spec"]["template"].clone();
        drop(server.admission.admit(Kind::Deployment, Some(before), &mut wanted));
        ensure(wanted["spec"]["template"] == after["spec"]["template"], LAW, || {
            format!("the base got another template than the proven {proven}")
        })?;
        only_what_follows(before, after, &template)?;
        if before["spec"]["template"] != after["spec"]["template"] {
            let count = self.promotions.entry(run.clone()).or_default();
            *count += 1;
            ensure(*count == 1, LAW, || format!("{run:?} changes the base a second time"))?;
            let pin = status.base.as_ref().and_then(|base| base.template_hash.clone());
            let untouched = pin == Some(hash::of(&before["spec"]["template"]))
                && status.base.is_some_and(|base| base.uid == uid(before));
            ensure(untouched, LAW, || format!("{run:?} overwrites somebody's change of the base"))?;
        }
        self.coverage.promotions += 1;
        Ok(())
    }

    fn told(&mut self, server: &Server, observed: &Observed, tell: &Tell, change: &Change) -> Check {
        let Some(phase) = tell.status.phase else { return Ok(()) };
        let run = (observed.kanary.uid().to_owned(), tell.status.run.unwrap_or_default());
        let before = observed.status();
        self.coverage.told(observed, tell);
        let pinned = |status: &kanary::api::KanaryDeploymentStatus| {
            status.base.as_ref().is_some_and(|base| base.template_hash.is_some())
        };
        if pinned(&tell.status) && !(pinned(&before) && before.run == tell.status.run) {
            let version = observed.base.as_ref().and_then(|base| base.version().parse().ok());
            self.pins.insert(run.clone(), version.unwrap_or_default());
        }
        if before.phase == Some(phase) && before.run == tell.status.run {
            return Ok(());
        }
        match phase {
            Phase::Validating => self.stopwatches.entry(run.0).or_default().begin(observed, run.1),
            Phase::Promoting => self.verdict(run, observed, tell)?,
            Phase::Failing => self.failure(&run, observed, tell)?,
            Phase::Succeeded | Phase::Failed if change.actor == Actor::Leader => nothing_left(server, observed)?,
            Phase::Scheduled | Phase::Starting | Phase::Succeeded | Phase::Failed => {}
        }
        Ok(())
    }

    /// I3: no success without an available canary and positive evidence for every item over the period.
    fn verdict(&mut self, run: Run, observed: &Observed, tell: &Tell) -> Check {
        const LAW: &str = "I3";
        ensure(is_available(observed), LAW, || format!("{run:?}: success of a canary that is not available"))?;
        let validation = &observed.kanary.spec.validation;
        let word = |item: &Value| {
            let of = |field: &str| item.pointer(&format!("/manual/{field}")).and_then(Value::as_str).map(str::to_owned);
            (of("status"), of("statusAfterDeadline"))
        };
        let overall = serde_json::json!({"manual": validation.manual});
        let items: Vec<Value> = validation.checks().iter().map(|(_, item)| serde_json::json!(item)).collect();
        let mut spoken = true;
        for item in &items {
            ensure(item.get("promQL").is_none(), LAW, || "promQL has no evidence yet".into())?;
            let said = word(item).0.or(word(&overall).0);
            let silence = word(item).1.or(word(&overall).1);
            spoken &= said.as_deref() == Some("valid") && item.get("labelWatch").is_none();
            let has_word = said.as_deref() == Some("valid") || said.is_none() && silence.as_deref() == Some("valid");
            ensure(item.get("labelWatch").is_some() || has_word, LAW, || format!("nobody vouches for {item}"))?;
        }
        ensure(word(&overall).0.as_deref() != Some("invalid"), LAW, || "a person said invalid".into())?;
        if !spoken {
            let objection = self.stopwatches.get(&run.0).map(|watch| watch.objection(observed));
            let objection = objection.unwrap_or_else(|| Some("it was never watched".into()));
            ensure(objection.is_none(), LAW, || format!("{run:?}: {}", objection.unwrap_or_default()))?;
        }
        self.verdicts.insert((run, tell.status.template_hash.clone().unwrap_or_default()));
        Ok(())
    }

    /// A failure that blames the base must be true.
    fn failure(&self, run: &Run, observed: &Observed, tell: &Tell) -> Check {
        let condition = tell.status.conditions.iter().find(|c| c.type_ == kanary::api::ConditionType::Failed);
        let reason = condition.map_or("", |condition| condition.reason.as_str());
        if !["BaseChanged", "BaseGone"].contains(&reason) {
            return Ok(());
        }
        let base = tell.status.base.clone().unwrap_or_default();
        let pin = self.pins.get(run).copied().unwrap_or_default();
        let same = Some((base.uid.clone(), base.template_hash.clone().unwrap_or_default()));
        let mut since = self.bases.get(&base.name).into_iter().flatten().filter(|(version, _)| *version > pin);
        let unpinned = base.template_hash.is_none();
        let going = observed.base.as_deref().is_some_and(Seen::is_terminating);
        ensure(unpinned || going || since.any(|(_, state)| *state != same), "no false alarm", || {
            format!("{run:?} fails with {reason}, but nobody touched the base")
        })
    }

    /// I2: a pod that the canary's template makes is outside production, unless somebody else changed the rules since.
    fn born_outside(&self, server: &Server, change: &Change) -> Check {
        let (Kind::Pod, None, Some(pod)) = (change.kind, &change.before, &change.after) else { return Ok(()) };
        let Some(kanary) = pod["metadata"]["labels"][names::CANARY_LABEL].as_str() else { return Ok(()) };
        let service = server.get(Kind::Kanary, kanary).and_then(|kanary| kanary["spec"]["serviceName"].as_str());
        let selector = service.and_then(|name| Some(server.get(Kind::Service, name)?["spec"]["selector"].clone()));
        let Some(selector) = selector else { return Ok(()) };
        let planned_for = self.outside.get(&format!("{kanary}-kanary"));
        ensure(planned_for != Some(&selector) || !covers(&selector, &pod["metadata"]["labels"]), "I2", || {
            format!("pod {} is born into production", change.name)
        })
    }
}

/// I4: nothing the user made is changed or deleted, but for the one promotion.
fn only_its_own(observed: &Observed, action: &Action, change: &Change) -> Check {
    let Some(before) = &change.before else { return Ok(()) };
    let owned = owners(before).any(|owner| owner == observed.kanary.uid());
    let pod = change.kind == Kind::Pod
        && before["metadata"]["labels"][names::CANARY_LABEL] == observed.kanary.name()
        && matches!(action, Action::Patch { .. });
    ensure(owned || pod || matches!(action, Action::Promote { .. }), "I4", || {
        format!("{} is not ours: {}", change.name, action.describe())
    })
}

/// I4: a promotion touches what follows the template, and nothing else.
fn only_what_follows(before: &Value, after: &Value, template: &Value) -> Check {
    const FOLLOW: [&str; 6] =
        ["template", "strategy", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds", "replicas"];
    let fields = |object: &Value| object["spec"].as_object().cloned().unwrap_or_default();
    let (old, new) = (fields(before), fields(after));
    for key in old.keys().chain(new.keys()) {
        let follows = FOLLOW.contains(&key.as_str()) && (key == "template" || template["spec"].get(key).is_some());
        ensure(follows || old.get(key) == new.get(key), "I4", || format!("the promotion changes spec.{key}"))?;
    }
    for field in ["labels", "annotations"] {
        let had = before["metadata"][field].as_object().cloned().unwrap_or_default();
        let kept = had.keys().all(|key| after["metadata"][field].get(key).is_some());
        ensure(kept, "I4", || format!("the promotion takes {field} away"))?;
    }
    Ok(())
}

/// A base that was recorded once is never created again.
fn never_recreated(server: &Server, observed: &Observed, change: &Change) -> Check {
    let persisted = server.get(Kind::Kanary, observed.kanary.name()).is_some_and(|kanary| {
        kanary["metadata"]["uid"] == observed.kanary.uid()
            && kanary.pointer("/status/base/name").is_some_and(|name| *name == change.name.as_str())
    });
    ensure(!persisted || change.actor == Actor::Deposed, "I1", || "a base that is gone is created again".into())
}

/// I2: nothing but the source that is asked for, in a run that is alive, puts a pod into production.
fn joins_by_right(observed: &Observed, change: &Change) -> Check {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
    let Some(service) = observed.service() else { return Ok(()) };
    let selector = serde_json::json!(service.spec.selector);
    let joins = !covers(&selector, &before["metadata"]["labels"]) && covers(&selector, &after["metadata"]["labels"]);
    let alive = matches!(observed.status().phase, Some(Phase::Starting | Phase::Validating | Phase::Promoting));
    let asked = observed.kanary.spec.traffic.source.joins_production();
    ensure(!joins || alive && asked, "I2", || format!("pod {} is put into production", change.name))
}

/// I4: when the run is over, nothing of it is left.
pub fn nothing_left(server: &Server, observed: &Observed) -> Check {
    let left = leftovers(server, &observed.kanary);
    ensure(left.is_empty(), "I4", || format!("the run is over, but {left:?} are left"))
}

/// What the controller made, and the pods of it.
pub fn leftovers(server: &Server, kanary: &KanaryDeployment) -> Vec<String> {
    let kinds = [Kind::Deployment, Kind::Service, Kind::Autoscaler];
    let mut left: Vec<String> = kinds.into_iter().flat_map(|kind| owned(server, kind, kanary.uid())).collect();
    let ours = |pod: &Value| pod["metadata"]["labels"][names::CANARY_LABEL] == kanary.name();
    left.extend(server.list(Kind::Pod).filter(|(_, pod)| ours(pod)).map(|(name, _)| name.clone()));
    left
}

/// The template as it is hashed.
pub fn template_hash(kanary: &Value) -> String {
    kanary["spec"]["template"].as_object().map(|map| Template(map.clone()).hash()).unwrap_or_default()
}
