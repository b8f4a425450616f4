//! The state of a run in a word or two: as the controller reports it, and what the time adds to that.

use jiff::Timestamp;

use super::clock;
use crate::api::{KanaryDeployment, Phase};

/// What a run does, or waits for.
#[must_use]
pub fn of(kanary: &KanaryDeployment, now: Timestamp) -> String {
    if kanary.metadata.deletion_timestamp.is_some() {
        return "Deleting".into();
    }
    let status = kanary.status.clone().unwrap_or_default();
    let Some(phase) = status.phase else { return "-".into() };
    if let Some(word) = status.report.as_ref().map(|report| &report.status).filter(|word| *word != phase.as_str()) {
        return word.clone();
    }
    if let Some(problem) = status.problem().filter(|_| !phase.is_over()) {
        return format!("Blocked: {}", problem.reason);
    }
    match (phase, clock::progress(kanary, now).state) {
        (Phase::Validating, clock::State::AwaitingApproval) => "Waiting for approval".into(),
        (Phase::Validating, clock::State::Paused) => "Paused".into(),
        (phase, _) => phase.as_str().into(),
    }
}

/// Did it fail, or is it about to?
#[must_use]
pub fn is_failure(kanary: &KanaryDeployment) -> bool {
    let phase = kanary.status.as_ref().and_then(|status| status.phase);
    matches!(phase, Some(Phase::Failing | Phase::Failed))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn state(phase: &str, word: Option<&str>, conditions: &Value) -> String {
        let report = word.map(|word| json!({"status": word, "scale": "", "traffic": "", "validation": ""}));
        let kanary = json!({
            "metadata": {"name": "web"}, "spec": {"template": {"spec": {}}},
            "status": {"phase": phase, "report": report, "conditions": conditions},
        });
        of(&serde_json::from_value(kanary).expect("a KanaryDeployment"), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_blocks_a_run_is_its_state() {
        let condition = |type_: &str, status: &str, reason: &str| json!([{"type": type_, "status": status, "reason": reason, "message": "", "lastTransitionTime": "1970-01-01T00:00:00Z"}]);
        let none = json!([]);
        for (phase, word, conditions, expected) in [
            ("Starting", None, none.clone(), "Starting"),
            ("Starting", Some("Starting"), none.clone(), "Starting"),
            ("Starting", Some("Starting: ImagePullBackOff"), none.clone(), "Starting: ImagePullBackOff"),
            ("Failing", Some("Failed"), none, "Failed"),
            ("Starting", Some("Starting"), condition("Stalled", "True", "BadQuery"), "Blocked: BadQuery"),
            ("Starting", None, condition("Stalled", "False", "Resolved"), "Starting"),
            ("Promoting", None, condition("Reconciling", "True", "RequestFailed"), "Blocked: RequestFailed"),
            ("Failed", None, condition("Stalled", "True", "Invalid"), "Failed"),
        ] {
            assert_eq!(state(phase, word, &conditions), expected, "{phase} {word:?} {conditions}");
        }
    }
}
