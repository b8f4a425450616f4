//! The progress of a validation; and times in readable form.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{DefaultStatus, ItemKind, KanaryDeployment, Phase, Verdict},
    objects::Object,
    validation::given,
};

/// How far the validation of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Validated so far; nothing before the validation starts.
    pub elapsed: Option<SignedDuration>,
    /// To be validated in all.
    pub total: SignedDuration,
    /// Paused in all.
    pub paused_for: SignedDuration,
    /// The end of the period, unless it is paused again.
    pub deadline: Option<Timestamp>,
    /// What is the case now.
    pub state: State,
}

/// What the validation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The canary is not ready yet.
    NotStarted,
    /// The end of the period, or a verdict before it.
    Running,
    /// The period does not run.
    Paused,
    /// A manual verdict, for which no time is set.
    AwaitingApproval,
    /// Nothing: there is a verdict.
    Done,
}

/// How far it is now. Paused time does not count, as in the controller.
#[must_use]
pub fn progress(kanary: &KanaryDeployment, now: Timestamp) -> Progress {
    let validation = &kanary.spec.validation;
    let all = validation.initial_delay.saturating_add(validation.validation_period);
    let status = kanary.status.clone().unwrap_or_default();
    // An item that is edited after the delay is validated for the period alone.
    let from = status.judged_from(validation.initial_delay);
    let delay = from.zip(status.evidence_since).map(|(from, since)| since.duration_until(from));
    let total = delay.map_or(all, |delay| delay.saturating_add(validation.validation_period));
    let until = status.verdict_at.or(status.held_since).unwrap_or(now);
    let elapsed = status.evidence_since.map(|since| since.duration_until(until).saturating_sub(status.held));
    let elapsed = elapsed.map(|elapsed| elapsed.clamp(SignedDuration::ZERO, total));
    Progress {
        elapsed,
        total,
        paused_for: status.held,
        deadline: status.deadline,
        state: state(kanary, elapsed.is_some_and(|elapsed| elapsed >= total)),
    }
}

fn state(kanary: &KanaryDeployment, is_past_the_period: bool) -> State {
    let status = kanary.status.clone().unwrap_or_default();
    let is_over = match status.phase {
        None | Some(Phase::Scheduled | Phase::Starting | Phase::Validating) => status.verdict_at.is_some(),
        Some(Phase::Promoting | Phase::Failing | Phase::Succeeded | Phase::Failed) => true,
    };
    if is_over {
        State::Done
    } else if status.evidence_since.is_none() {
        State::NotStarted
    } else if status.held_since.is_some() {
        State::Paused
    } else if awaits_approval(kanary, is_past_the_period) {
        State::AwaitingApproval
    } else {
        State::Running
    }
}

/// Is only a manual verdict missing? After the period, of all items; before it, if no other item needs the period.
fn awaits_approval(kanary: &KanaryDeployment, is_past_the_period: bool) -> bool {
    let validation = &kanary.spec.validation;
    let items = kanary.status.iter().flat_map(|status| &status.items);
    let default = validation.manual.as_ref().and_then(|manual| manual.status_after_deadline);
    let mut is_awaited = false;
    for (name, item) in validation.named_items() {
        let is_valid = items.clone().any(|status| status.name == name && status.verdict == Verdict::Valid);
        match item.kind() {
            ItemKind::Manual(_) if is_valid => {}
            ItemKind::Manual(manual) => match manual.status_after_deadline.or(default).unwrap_or_default() {
                DefaultStatus::None => is_awaited = true,
                DefaultStatus::Valid | DefaultStatus::Invalid => return false,
            },
            ItemKind::LabelWatch(_) | ItemKind::PromQl(_) if is_past_the_period && is_valid => {}
            ItemKind::LabelWatch(_) | ItemKind::PromQl(_) => return false,
        }
    }
    is_awaited
}

impl Progress {
    /// As a column of a table: `3m12s/15m`. That it is paused, another column says.
    #[must_use]
    pub fn column(&self) -> String {
        let elapsed = self.elapsed.map_or_else(|| "-".into(), short);
        format!("{elapsed}/{}", short(self.total))
    }

    /// As a sentence: what it waits for, and how long.
    #[must_use]
    pub fn sentence(&self, kanary: &KanaryDeployment) -> String {
        let (elapsed, total) = (self.elapsed.unwrap_or_default(), short(self.total));
        let text = match (self.state, self.deadline) {
            (State::NotStarted, _) => return format!("{total}, starts when the canary is ready"),
            (State::AwaitingApproval, _) => {
                let outdated = kanary.status.as_ref().and_then(|status| given::outdated(kanary, status));
                let outdated = outdated.map(|given| format!(", {given}")).unwrap_or_default();
                return format!("waiting for approval{outdated}: kubectl kanary approve {}", kanary.name());
            }
            (State::Paused, _) => return format!("paused at {} of {total}", short(elapsed)),
            (State::Running, Some(deadline)) if elapsed < self.total => {
                let left = short(self.total.saturating_sub(elapsed));
                format!("validating, {left} left (until {})", moment(deadline))
            }
            (State::Running, _) => "the validation period has ended, waiting for a verdict".to_owned(),
            (State::Done, _) if self.elapsed.is_none() => return "not validated".to_owned(),
            (State::Done, _) => format!("{} of {total}", short(elapsed)),
        };
        if self.paused_for.is_zero() { text } else { format!("{text}, paused for {}", short(self.paused_for)) }
    }

    /// Between 0 and 1; nothing if time alone does not end the validation.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let elapsed = self.elapsed.unwrap_or_default().as_secs_f64();
        let total = self.total.as_secs_f64();
        match self.state {
            State::AwaitingApproval => None,
            State::NotStarted | State::Running | State::Paused | State::Done if total > 0.0 => {
                Some((elapsed / total).clamp(0.0, 1.0))
            }
            State::NotStarted | State::Running | State::Paused | State::Done => Some(0.0),
        }
    }
}

/// A duration in its two largest units, as kubectl writes ages: `45s`, `3m12s`, `2h5m`, `3d4h`.
#[must_use]
pub fn short(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let units = [("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let first = units.iter().position(|(_, count)| *count > 0).unwrap_or(units.len() - 1);
    let shown = units[first..].iter().take(2).filter(|(_, count)| *count > 0);
    let text: String = shown.map(|(unit, count)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".into() } else { text }
}

/// How long ago.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    short(since.duration_until(now))
}

/// A moment, to the second.
#[must_use]
pub fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_after_the_delay_restarts_the_period_alone() {
        let at = |seconds: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let spec = serde_json::json!({
            "deploymentName": "web", "template": {"spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}}},
            "validation": {"initialDelay": "30s", "validationPeriod": "60s"},
        });
        for (since, total) in [(0, 90), (20, 70), (50, 60)] {
            let status =
                serde_json::json!({"validationStartedAt": at(0).to_string(), "evidenceSince": at(since).to_string()});
            let kanary = serde_json::json!({"metadata": {"name": "a"}, "spec": spec, "status": status});
            let kanary: KanaryDeployment = serde_json::from_value(kanary).expect("a resource");
            let progress = progress(&kanary, at(55));
            assert_eq!(progress.total, SignedDuration::from_secs(total));
            assert_eq!(progress.elapsed, Some(SignedDuration::from_secs(55 - since)));
        }
    }

    /// A run that has been validating for a minute, with these items and their verdicts.
    fn validating(items: &serde_json::Value, verdicts: &[Verdict]) -> KanaryDeployment {
        let template = serde_json::json!({"spec": {"template": {"spec": {}}}});
        let items_of = verdicts.iter().enumerate().map(
            |(index, verdict)| serde_json::json!({"name": format!("item-{index}"), "kind": "any", "verdict": verdict}),
        );
        let status = serde_json::json!({
            "phase": "Validating", "evidenceSince": "1970-01-01T00:00:00Z", "items": items_of.collect::<Vec<_>>(),
            "deadline": "1970-01-01T00:05:00Z",
        });
        let spec = serde_json::json!({"template": template, "validation": {"validationPeriod": "5m", "items": items}});
        let kanary = serde_json::json!({
            "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": {"name": "web"},
            "spec": spec, "status": status,
        });
        serde_json::from_value(kanary).expect("a resource")
    }

    #[test]
    fn only_a_missing_approval_has_no_end() {
        let at = |seconds: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let manual = serde_json::json!({"name": "item-0", "manual": {}});
        let with_default = serde_json::json!({"name": "item-0", "manual": {"statusAfterDeadline": "valid"}});
        let watch = serde_json::json!({"name": "item-1", "labelWatch": {"podInvalidationLabels": {"bad": "yes"}}});
        let both = serde_json::json!([manual, watch]);
        for (items, verdicts, now, expected) in [
            (serde_json::json!([manual]), vec![Verdict::Unknown], at(60), State::AwaitingApproval),
            (serde_json::json!([with_default]), vec![Verdict::Unknown], at(60), State::Running),
            (both.clone(), vec![Verdict::Unknown, Verdict::Valid], at(60), State::Running),
            (both.clone(), vec![Verdict::Unknown, Verdict::Valid], at(300), State::AwaitingApproval),
            (both.clone(), vec![Verdict::Unknown, Verdict::Unknown], at(300), State::Running),
            (both, vec![Verdict::Valid, Verdict::Unknown], at(60), State::Running),
        ] {
            let kanary = validating(&items, &verdicts);
            let progress = progress(&kanary, now);
            assert_eq!(progress.state, expected, "{items} {verdicts:?}");
            assert_eq!(progress.ratio().is_none(), expected == State::AwaitingApproval);
        }
        let kanary = validating(&serde_json::json!([with_default]), &[Verdict::Unknown]);
        let sentence = progress(&kanary, at(60)).sentence(&kanary);
        assert_eq!(sentence, "validating, 4m left (until 1970-01-01T00:05:00Z)");
    }

    #[test]
    fn short_durations() {
        for (seconds, text) in [
            (0, "0s"),
            (45, "45s"),
            (60, "1m"),
            (192, "3m12s"),
            (900, "15m"),
            (7500, "2h5m"),
            (273_600, "3d4h"),
            (-3, "0s"),
        ] {
            assert_eq!(short(SignedDuration::from_secs(seconds)), text);
        }
    }
}
