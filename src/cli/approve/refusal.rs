//! When a manual verdict is refused: it would have no effect, or is about a canary that no user can have inspected.

use serde_json::json;

use super::upcoming::upcoming;
use crate::{
    api::{ConditionStatus, ConditionType, ItemKind, KanaryDeployment, ManualStatus, Phase},
    cli::client::{self, RunState},
    objects::Object,
    validation::given,
};

/// Why the verdict would have no effect, or one that is not meant. `ahead`: the canary need not be there.
#[must_use]
pub fn refusal(kanary: &KanaryDeployment, verdict: ManualStatus, ahead: bool) -> Option<String> {
    let name = kanary.name();
    match (client::run_state(kanary), verdict) {
        (RunState::Over(phase), _) => Some(format!(
            "the run of {name} is over: {}; try the same template again with: kubectl kanary retry {name}",
            phase.as_str()
        )),
        (RunState::UnderWay(phase @ (Phase::Promoting | Phase::Failing)), _) => {
            Some(format!("{name} already has a verdict: it is {}", phase.as_str()))
        }
        (RunState::UnderWay(_) | RunState::Unseen | RunState::Outdated(_), ManualStatus::Invalid) => None,
        (state, ManualStatus::Valid) => {
            let unseen = || if ahead { None } else { invisible(kanary, state) };
            rejected(kanary).or_else(|| nothing_to_approve(kanary)).or_else(unseen)
        }
    }
}

/// Why no user can have inspected the canary.
fn invisible(kanary: &KanaryDeployment, state: RunState) -> Option<String> {
    let name = kanary.name();
    let message = kanary.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or("no message");
    let why = match state {
        RunState::Unseen => format!("the run of {name} has not started"),
        RunState::Outdated(_) => format!("the controller has not processed this template of {name} yet"),
        RunState::UnderWay(Phase::Scheduled) => format!("the run of {name} is Scheduled: {message}"),
        RunState::UnderWay(Phase::Starting) => format!("the canary of {name} is Starting: {message}"),
        RunState::UnderWay(_) | RunState::Over(_) => {
            let ready = kanary.status.as_ref()?.condition(ConditionType::CanaryReady);
            let ready = ready.filter(|ready| ready.status != ConditionStatus::True)?;
            format!("the canary of {name} is not available: {}", ready.message)
        }
    };
    Some(format!("{why}; try again later, or approve it unseen with: kubectl kanary approve {name} --ahead"))
}

/// A rejection stands until it is withdrawn; an approval does not overrule it.
fn rejected(kanary: &KanaryDeployment) -> Option<String> {
    let invalid = given::on_run(kanary).filter(|given| given.verdict == ManualStatus::Invalid)?;
    if !invalid.counts(&upcoming(kanary)) {
        return None;
    }
    let (name, namespace) = (kanary.name(), kanary.namespace());
    let reason = invalid.reason.unwrap_or("no reason given");
    let nothing = json!({"spec": {"validation": {"manual": {"status": null, "reason": null}}}});
    Some(format!(
        "{name} was rejected{}: {reason}; withdraw that with: kubectl patch kd {name} -n {namespace} --type=merge -p '{nothing}'",
        invalid.author()
    ))
}

fn nothing_to_approve(kanary: &KanaryDeployment) -> Option<String> {
    let status = upcoming(kanary);
    let is_undecided = |name: &str, check: ItemKind<'_>| match check {
        ItemKind::Manual(manual) => !given::on_item(name, manual).is_some_and(|given| given.counts(&status)),
        ItemKind::LabelWatch(_) | ItemKind::PromQl(_) => false,
    };
    let checks = kanary.spec.validation.named_items();
    if checks.iter().any(|(name, item)| is_undecided(name, item.kind())) {
        return None;
    }
    let names: Vec<&str> = checks.iter().map(|(name, _)| name.as_str()).collect();
    Some(format!("{} has no manual item to approve; it is evaluated by {}", kanary.name(), names.join(", ")))
}
