//! What the status tells people: conditions, the message, the columns and the events. It decides nothing.

use super::{
    Facts, Notice, Observed, base,
    base::Progress,
    phase::{Cause, Signs},
};
use crate::{
    api::{Condition, ConditionType, KanaryDeploymentStatus, Phase, Report, Source, Truth, names},
    canary::{self, Readiness},
    scale,
    seen::Seen,
    traffic,
    validation::Judgement,
};

/// Something that the user must change before the run can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word.
    pub reason: &'static str,
    /// One sentence that says what to do.
    pub message: String,
}

/// What makes the resource impossible to serve as it is, beyond what the CRD's rules can see.
#[must_use]
pub(super) fn refusal(seen: &Observed, facts: &Facts) -> Option<Refusal> {
    let refuse = |reason, message| Some(Refusal { reason, message });
    let template = &seen.kanary.spec.template;
    if let Some(other) = template.namespace().filter(|namespace| *namespace != seen.kanary.namespace()) {
        return refuse(
            "ForeignNamespace",
            format!(
                "spec.template.metadata.namespace: is {other}, but the canary runs beside its KanaryDeployment; leave it out"
            ),
        );
    }
    if names::base(&seen.kanary) == names::canary(&seen.kanary) {
        return refuse(
            "NameTaken",
            "spec.deploymentName: the base has the canary's own name; rename this KanaryDeployment".into(),
        );
    }
    if let Some(taken) = &facts.taken {
        return refuse(
            "NameTaken",
            format!(
                "{} {} exists and was not made by this KanaryDeployment; remove it, or choose another name",
                taken.kind.as_str(),
                taken.name
            ),
        );
    }
    let claim = facts.withheld.unavoidable.as_ref()?;
    refuse(
        "SelectorTooWide",
        format!("{claim} selects the canary's pods whatever labels they have; make it ask for a label"),
    )
}

/// Brings conditions, message and columns up to now; the events of what begins or ends within a phase.
pub(super) fn tell(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, signs: &Signs) -> Vec<Notice> {
    let Some(phase) = status.phase else { return Vec::new() };
    let before = status.conditions.clone();
    status.observed_generation = seen.kanary.metadata.generation;
    if !phase.is_over() {
        scheduled(seen, status, phase);
        canary_ready(seen, status, facts, phase);
        traffic_is(seen, status, facts, phase);
        running(seen, status, facts, signs, phase);
        updated(seen, status, signs, phase);
        errored(seen, status, facts, phase);
    } else {
        errored(seen, status, facts, phase);
    }
    status.report = Some(report(seen, status, phase));
    notices(seen, &before, status, facts)
}

fn set(
    seen: &Observed,
    status: &mut KanaryDeploymentStatus,
    type_: ConditionType,
    truth: Truth,
    reason: &str,
    message: impl Into<String>,
) {
    let before = status.conditions.iter().find(|condition| condition.type_ == type_);
    let unchanged =
        before.filter(|condition| condition.status == truth).map(|condition| condition.last_transition_time);
    let condition = Condition {
        type_,
        status: truth,
        reason: reason.to_owned(),
        message: message.into(),
        last_transition_time: unchanged.unwrap_or(seen.now),
        observed_generation: seen.kanary.metadata.generation,
    };
    status.conditions.retain(|condition| condition.type_ != type_);
    status.conditions.push(condition);
    status.conditions.sort_by_key(|condition| condition.type_);
}

fn scheduled(seen: &Observed, status: &mut KanaryDeploymentStatus, phase: Phase) {
    if phase != Phase::Scheduled {
        return set(seen, status, ConditionType::Scheduled, Truth::True, "Due", "the time has come");
    }
    let when = seen.kanary.spec.schedule.map_or_else(String::new, |schedule| schedule.to_string());
    let message = format!("waits until {when} (spec.schedule)");
    status.message = Some(message.clone());
    set(seen, status, ConditionType::Scheduled, Truth::False, "Waiting", message);
}

fn canary_ready(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, phase: Phase) {
    let is = |truth, reason: &str, message: String| (truth, reason.to_owned(), message);
    let (truth, reason, message) = match (&facts.readiness, phase) {
        (_, Phase::Scheduled) => return,
        (_, Phase::Failing) => is(Truth::False, "Removing", "the canary is being taken away".into()),
        (Readiness::Ready, _) => is(Truth::True, "Available", "every canary pod is available".into()),
        (Readiness::Absent, Phase::Promoting) => is(Truth::False, "Removing", "the canary is being taken away".into()),
        (Readiness::Absent, _) => is(Truth::False, "Absent", canary::absent(seen)),
        (Readiness::NotReady { .. }, Phase::Promoting) if seen.own_canary().is_some_and(Seen::is_terminating) => {
            is(Truth::False, "Removing", "the canary is being taken away".into())
        }
        (Readiness::NotReady { reason, message, .. }, _) => is(Truth::False, reason, message.clone()),
    };
    if phase == Phase::Starting {
        status.message = Some(message.clone());
    }
    set(seen, status, ConditionType::CanaryReady, truth, &reason, message);
}

fn traffic_is(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, phase: Phase) {
    let source = seen.kanary.spec.traffic.source;
    if phase == Phase::Scheduled {
        return;
    }
    let ending = phase == Phase::Failing || (phase == Phase::Promoting && facts.readiness == Readiness::Absent);
    let (truth, reason, message) = match (&facts.obstacle, source, facts.traffic_on) {
        _ if ending => (Truth::False, "Removed", "the canary gets no more traffic".to_owned()),
        (Some(obstacle), _, _) => (Truth::False, obstacle.reason, obstacle.message.clone()),
        (None, Source::None, _) => {
            (Truth::True, "NoneAsked", "spec.traffic.source is none: nobody reaches the canary".into())
        }
        (None, _, true) => (Truth::True, "On", format!("{} reaches the canary", source.as_str())),
        (None, _, false) => (Truth::False, "NotYet", format!("{} does not reach the canary yet", source.as_str())),
    };
    if phase == Phase::Starting
        && truth == Truth::False
        && (facts.obstacle.is_some() || facts.readiness == Readiness::Ready)
    {
        status.message = Some(message.clone());
    }
    set(seen, status, ConditionType::Traffic, truth, reason, message);
}

fn running(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, signs: &Signs, phase: Phase) {
    if phase != Phase::Validating {
        if status.validation_started_at.is_some() {
            set(seen, status, ConditionType::Running, Truth::False, "Judged", "the validation is over");
        }
        return;
    }
    let held = match (&facts.obstacle, &facts.readiness) {
        (Some(obstacle), _) => obstacle.message.clone(),
        (None, Readiness::NotReady { message, .. }) => message.clone(),
        (None, Readiness::Absent) => canary::absent(seen),
        (None, Readiness::Ready) => "its traffic is not on".into(),
    };
    let (reason, message) = match (&signs.judgement, signs.judgeable) {
        (_, false) => ("Held", format!("the clock stands still: {held}")),
        (Judgement::Open { message: Some(waits) }, true) => {
            ("WaitsForEvidence", format!("the period is over, but {waits}"))
        }
        (_, true) => (
            "Judging",
            status
                .deadline
                .map_or_else(String::new, |deadline| format!("the canary is judged until {}", stamp(deadline))),
        ),
    };
    status.message = Some(message.clone());
    set(seen, status, ConditionType::Running, Truth::True, reason, message);
}

fn stamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn updated(seen: &Observed, status: &mut KanaryDeploymentStatus, signs: &Signs, phase: Phase) {
    if phase != Phase::Promoting {
        return;
    }
    let name = names::base(&seen.kanary);
    let written = base::is_promoted(seen, status);
    let (truth, reason, message) = match &signs.progress {
        Progress::LeftAlone => {
            (Truth::False, "NoUpdate", format!("spec.validation.noUpdate: Deployment {name} is left alone"))
        }
        Progress::Due => (Truth::False, "Promoting", format!("Deployment {name} gets the proven template")),
        Progress::Paused => (
            written.into(),
            "BasePaused",
            format!("Deployment {name} is paused; resume it (kubectl rollout resume deployment {name})"),
        ),
        Progress::RollingOut => {
            (Truth::True, "RollingOut", format!("Deployment {name} has the template and rolls it out"))
        }
        Progress::Stalled(why) => (
            Truth::True,
            "BaseRolloutStalled",
            format!("Deployment {name} has the template, but its rollout stalls, so the canary stays: {why}"),
        ),
        Progress::Done if written => (Truth::True, "Promoted", format!("Deployment {name} has the proven template")),
        Progress::Done => {
            (Truth::True, "AlreadyUpToDate", format!("Deployment {name} had the proven template already"))
        }
    };
    status.message = Some(message.clone());
    set(seen, status, ConditionType::DeploymentUpdated, truth, reason, message);
}

/// Errors are always visible: what the last requests met with, what the API server refuses, what the user must change.
fn errored(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, phase: Phase) {
    let refusal = refusal(seen, facts)
        .filter(|_| matches!(phase, Phase::Starting | Phase::Validating))
        .map(|r| (r.reason, r.message));
    let rehearsal = base::rehearsal(seen).filter(|_| phase == Phase::Starting).and_then(|r| r.outcome.as_ref().err());
    let refused = rehearsal
        .map(|why| ("PromotionRefused", format!("the API server would refuse to promote spec.template: {why}")));
    let fault = seen.faults.first().map(|fault| ("RequestFailed", format!("{}: {}", fault.action, fault.error)));
    let ambiguous = facts.obstacle.as_ref().filter(|obstacle| !phase.is_over() && obstacle.reason != "ServiceNotFound");
    let obstacle = ambiguous
        .filter(|_| matches!(phase, Phase::Starting | Phase::Validating))
        .map(|o| (o.reason, o.message.clone()));
    match refusal.or(refused).or(obstacle).or(fault) {
        Some((reason, message)) => {
            if matches!(phase, Phase::Starting) {
                status.message = Some(message.clone());
            }
            set(seen, status, ConditionType::Errored, Truth::True, reason, message);
        }
        None if status.conditions.iter().any(|c| c.type_ == ConditionType::Errored && c.status == Truth::True) => {
            set(seen, status, ConditionType::Errored, Truth::False, "Resolved", "");
        }
        None => {}
    }
}

fn report(seen: &Observed, status: &KanaryDeploymentStatus, phase: Phase) -> Report {
    let is = |type_| status.conditions.iter().any(|c| c.type_ == type_ && c.status == Truth::True);
    let status = match phase {
        _ if is(ConditionType::Failed) => "Failed".into(),
        _ if is(ConditionType::Succeeded) => "Succeeded".into(),
        phase => format!("{phase:?}"),
    };
    let spec = &seen.kanary.spec;
    let scale = match &spec.scale.hpa {
        Some(hpa) => format!("hpa {}-{}", hpa.min_replicas.unwrap_or(1), hpa.max_replicas),
        None => format!("static {}", scale::fixed(&seen.kanary)),
    };
    let mut kinds: Vec<&str> = spec.validation.checks().iter().map(|(_, item)| item.check().kind()).collect();
    kinds.dedup();
    Report { status, scale, traffic: spec.traffic.source.as_str().into(), validation: kinds.join(",") }
}

/// The conditions and the event of a phase that begins.
pub(super) fn enter(seen: &Observed, status: &mut KanaryDeploymentStatus, phase: Phase, cause: &Cause) -> Vec<Notice> {
    let notice = |warning, reason: &str| vec![Notice { warning, reason: reason.into(), note: cause.message.clone() }];
    status.message = Some(cause.message.clone());
    match phase {
        Phase::Promoting => {
            set(seen, status, ConditionType::Succeeded, Truth::True, cause.reason, &*cause.message);
            notice(false, "Valid")
        }
        Phase::Failing => {
            if status.conditions.iter().any(|c| c.type_ == ConditionType::Succeeded) {
                set(seen, status, ConditionType::Succeeded, Truth::False, cause.reason, &*cause.message);
            }
            set(seen, status, ConditionType::Failed, Truth::True, cause.reason, &*cause.message);
            notice(true, cause.reason)
        }
        Phase::Succeeded | Phase::Failed => {
            end(seen, status, phase);
            notice(phase == Phase::Failed, &format!("{phase:?}"))
        }
        Phase::Scheduled | Phase::Starting | Phase::Validating => notice(false, &format!("{phase:?}")),
    }
}

/// The last word: the verdict's own message stays, for it is what people look for afterwards.
fn end(seen: &Observed, status: &mut KanaryDeploymentStatus, phase: Phase) {
    let verdict = if phase == Phase::Failed { ConditionType::Failed } else { ConditionType::DeploymentUpdated };
    let message = status.conditions.iter().find(|condition| condition.type_ == verdict).map(|c| c.message.clone());
    status.message = message;
    if let Some(canary) = &mut status.canary {
        (canary.ready_replicas, canary.replicas) = (0, 0);
        canary.unavailable_since = None;
    }
    set(seen, status, ConditionType::CanaryReady, Truth::False, "Removed", "nothing of the canary is left");
    set(seen, status, ConditionType::Traffic, Truth::False, "Removed", "the canary gets no more traffic");
}

/// What happened within a phase and deserves an event.
fn notices(seen: &Observed, before: &[Condition], status: &KanaryDeploymentStatus, facts: &Facts) -> Vec<Notice> {
    let was = |type_: ConditionType, reason: &str| before.iter().any(|c| c.type_ == type_ && c.reason == reason);
    let is =
        |type_: ConditionType, reason: &str| status.conditions.iter().find(|c| c.type_ == type_ && c.reason == reason);
    let news = |type_, reason: &str, warning| {
        let condition = is(type_, reason).filter(|_| !was(type_, reason))?;
        Some(Notice { warning, reason: reason.to_owned(), note: condition.message.clone() })
    };
    let errored = status.conditions.iter().find(|c| c.type_ == ConditionType::Errored && c.status == Truth::True);
    let error = errored.filter(|now| !was(ConditionType::Errored, &now.reason));
    let first_pin = status.base.as_ref().is_some_and(|base| base.template_hash.is_some())
        && seen.status().base.is_none_or(|base| base.template_hash.is_none());
    let created =
        status.base.as_ref().filter(|base| first_pin && base.created && status.run == Some(1)).map(|base| Notice {
            warning: false,
            reason: "BaseCreated".into(),
            note: format!("Deployment {} did not exist and was created from spec.template", base.name),
        });
    [
        news(ConditionType::DeploymentUpdated, "Promoted", false)
            .or_else(|| news(ConditionType::DeploymentUpdated, "RollingOut", false)),
        news(ConditionType::DeploymentUpdated, "BasePaused", true),
        news(ConditionType::DeploymentUpdated, "BaseRolloutStalled", true),
        news(ConditionType::Running, "WaitsForEvidence", true),
        news(ConditionType::Running, "Held", true),
        created,
        error.map(|now| Notice { warning: true, reason: now.reason.clone(), note: now.message.clone() }),
    ]
    .into_iter()
    .flatten()
    .chain(if first_pin { bystanders(seen, facts) } else { Vec::new() })
    .collect()
}

/// Who is affected without being asked: what counts canary pods as the base's, and what no longer selects them.
fn bystanders(seen: &Observed, facts: &Facts) -> Vec<Notice> {
    let warn = |reason: &str, note| Notice { warning: true, reason: reason.into(), note };
    let full = seen.kanary.spec.template.pod_labels();
    let mut bare = full.clone();
    bare.retain(|key, _| !facts.withheld.keys.contains(key));
    let lost: Vec<String> = seen
        .bystanders
        .iter()
        .filter(|other| other.kind() != "PodDisruptionBudget" && other.selects(&full) && !other.selects(&bare))
        .map(|other| format!("{} {}", other.kind(), other.name()))
        .collect();
    let withheld: Vec<&str> = facts.withheld.keys.iter().map(String::as_str).collect();
    let unselected = (!lost.is_empty()).then(|| {
        warn(
            "LabelsWithheld",
            format!(
                "canary pods do not carry {}, so these do not select them: {}",
                withheld.join(", "),
                lost.join(", ")
            ),
        )
    });
    let joins = seen.kanary.spec.traffic.source.joins_production() && traffic::counts_canary(seen, &facts.withheld);
    let counted = seen.base_autoscaler().filter(|_| joins && facts.obstacle.is_none()).map(|hpa| {
        warn(
            "BaseHPACountsCanary",
            format!(
                "while canary pods are in production, HorizontalPodAutoscaler {} counts them among those of the base",
                hpa.name()
            ),
        )
    });
    let mut in_production = bare;
    in_production.extend(seen.service().map(|service| service.spec.selector.clone()).unwrap_or_default());
    let budgets = seen
        .bystanders
        .iter()
        .filter(|other| joins && other.kind() == "PodDisruptionBudget" && other.selects(&in_production));
    let budget = budgets
        .map(|budget| {
            warn(
                "PDBCountsCanary",
                format!("while canary pods are in production, PodDisruptionBudget {} counts them", budget.name()),
            )
        })
        .next();
    unselected.into_iter().chain(counted).chain(budget).collect()
}
