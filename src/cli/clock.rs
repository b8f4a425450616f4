//! How long a run has been judged, and how long it must be; and times as people read them.

use jiff::{SignedDuration, Timestamp};

use crate::api::{KanaryDeployment, Phase};

/// How far a run's validation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Judged so far; nothing before it begins.
    pub elapsed: Option<SignedDuration>,
    /// To be judged in all.
    pub total: SignedDuration,
    /// It stands still.
    pub held: bool,
}

/// How far it is now. Time that does not count is left out, as the controller does.
#[must_use]
pub fn progress(kanary: &KanaryDeployment, now: Timestamp) -> Progress {
    let validation = &kanary.spec.validation;
    let all = validation.initial_delay.saturating_add(validation.validation_period);
    let Some(status) = &kanary.status else { return Progress { elapsed: None, total: all, held: false } };
    // What was edited after the delay is judged for the period alone.
    let from = status.judged_from(validation.initial_delay);
    let delay = from.zip(status.evidence_since).map(|(from, since)| since.duration_until(from));
    let total = delay.map_or(all, |delay| delay.saturating_add(validation.validation_period));
    let until = status.verdict_at.or(status.held_since).unwrap_or(now);
    let judged = |since: Timestamp| since.duration_until(until).saturating_sub(status.held);
    Progress {
        elapsed: status.evidence_since.map(judged).map(|judged| judged.clamp(SignedDuration::ZERO, total)),
        total,
        held: status.held_since.is_some() && status.phase == Some(Phase::Validating),
    }
}

impl Progress {
    /// As it stands in a column: `3m12s/15m`.
    #[must_use]
    pub fn column(&self) -> String {
        let elapsed = self.elapsed.map_or_else(|| "-".into(), short);
        let held = if self.held { " (held)" } else { "" };
        format!("{elapsed}/{}{held}", short(self.total))
    }

    /// Between 0 and 1.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let elapsed = self.elapsed.unwrap_or_default().as_secs_f64();
        let total = self.total.as_secs_f64();
        if total > 0.0 { (elapsed / total).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// A duration to its two greatest units, as kubectl writes ages: `45s`, `3m12s`, `2h5m`, `3d4h`.
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
    fn an_edit_after_the_delay_begins_the_period_alone_anew() {
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
