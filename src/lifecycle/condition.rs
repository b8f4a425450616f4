//! How one condition is written into a status.

use crate::{
    api::{Condition, ConditionStatus, ConditionType, Explanation, KanaryDeploymentStatus},
    decision::Observed,
};

/// Writes a condition; the time of its last transition stays while its status does.
pub(super) fn set(
    seen: &Observed,
    status: &mut KanaryDeploymentStatus,
    type_: ConditionType,
    truth: ConditionStatus,
    why: Explanation,
) {
    let before = status.condition(type_).filter(|before| before.status == truth);
    let condition = Condition {
        type_,
        status: truth,
        reason: why.reason,
        message: why.message,
        last_transition_time: before.map_or(seen.now, |before| before.last_transition_time),
        observed_generation: seen.kanary.metadata.generation,
    };
    status.conditions.retain(|condition| condition.type_ != type_);
    status.conditions.push(condition);
    status.conditions.sort_by_key(|condition| condition.type_);
}
