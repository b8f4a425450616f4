//! What the status reports of the base: the condition `DeploymentUpdated`.

use super::{base, base::Rollout, condition::set, phase::Guards};
use crate::{
    api::{Cleanup, ConditionStatus, ConditionType, Explanation, KanaryDeploymentStatus, Phase, Reason, names},
    decision::Observed,
};

/// How far the base is with the template, after a verdict of success.
pub(super) fn update(seen: &Observed, status: &mut KanaryDeploymentStatus, guards: &Guards, phase: Phase) {
    if phase != Phase::Promoting {
        return;
    }
    let name = names::base(&seen.kanary);
    let (truth, reason, message) = match &guards.rollout {
        Rollout::LeftAlone => {
            let message = format!("Deployment {name} is not changed (spec.validation.noUpdate)");
            (ConditionStatus::False, Reason::NoUpdate, message)
        }
        Rollout::Due => (ConditionStatus::False, Reason::Promoting, format!("updating Deployment {name}")),
        Rollout::Withheld(why) => {
            (ConditionStatus::False, why.reason.clone(), format!("not promoted: {}", why.message))
        }
        Rollout::Paused => {
            let fix = format!("resume it: kubectl rollout resume deployment {name}");
            (base::is_promoted(seen, status).into(), Reason::BasePaused, format!("Deployment {name} is paused; {fix}"))
        }
        Rollout::Unreadable(why) => {
            (base::is_promoted(seen, status).into(), Reason::Unreadable, format!("the canary stays, because {why}"))
        }
        Rollout::RollingOut => (
            ConditionStatus::True,
            Reason::RollingOut,
            format!("promoted: Deployment {name} is rolling out {}", images(seen)),
        ),
        Rollout::Stalled(why) => (ConditionStatus::True, Reason::BaseRolloutStalled, stalled(seen, &name, why)),
        Rollout::Done if base::was_up_to_date(status) => (
            ConditionStatus::True,
            Reason::AlreadyUpToDate,
            format!("nothing to promote: Deployment {name} already had the template"),
        ),
        Rollout::Done => (ConditionStatus::True, Reason::Promoted, promoted(seen)),
    };
    // It comes too late to fail the run.
    let message = match &guards.rejection {
        Some(why) if base::is_promoted(seen, status) => {
            format!("{message}; rejected after the promotion ({why}): kubectl rollout undo deployment {name}")
        }
        Some(_) | None => message,
    };
    status.message = Some(message.clone());
    set(seen, status, ConditionType::DeploymentUpdated, truth, Explanation { reason, message });
}

fn stalled(seen: &Observed, name: &str, why: &str) -> String {
    let canary = match (seen.kanary.spec.validation.cleanup, seen.own_canary()) {
        (Cleanup::RolloutStarted, _) => "the canary makes room",
        (Cleanup::RolloutComplete, None) => "the canary has been removed",
        (Cleanup::RolloutComplete, Some(_)) => {
            "the canary stays (spec.validation.cleanup: rolloutComplete), and its pods may hold the room that the base needs; \
             set rolloutStarted to remove them, or make room"
        }
    };
    format!("the rollout of Deployment {name} has stalled: {}; {canary}", why.trim_end_matches('.'))
}

fn promoted(seen: &Observed) -> String {
    format!("promoted: Deployment {} runs {}", names::base(&seen.kanary), images(seen))
}

/// What a person knows the template by.
fn images(seen: &Observed) -> String {
    const MOST: usize = 3;
    let images = seen.kanary.spec.template.images();
    let more = images.len().saturating_sub(MOST);
    let named = images.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
    match (named.is_empty(), more) {
        (true, _) => "the new template".into(),
        (false, 0) => named,
        (false, more) => format!("{named} and {more} more"),
    }
}

/// For some time after the end: did another client take the template from the base, or give it back?
pub(super) fn reverted(seen: &Observed, status: &mut KanaryDeploymentStatus) {
    let reported = status.condition(ConditionType::DeploymentUpdated).map(|condition| condition.reason.clone());
    let has_promoted = matches!(reported, Some(Reason::Promoted | Reason::RollingOut | Reason::AlreadyUpToDate));
    let (truth, why) = match base::revert(seen, status) {
        Some(message) if has_promoted => (ConditionStatus::False, Explanation::new(Reason::Reverted, message)),
        None if reported == Some(Reason::Reverted) && base::has_template(seen, status) => {
            (ConditionStatus::True, Explanation::new(Reason::Promoted, format!("{} again", promoted(seen))))
        }
        Some(_) | None => return,
    };
    status.message = Some(why.message.clone());
    set(seen, status, ConditionType::DeploymentUpdated, truth, why);
}
