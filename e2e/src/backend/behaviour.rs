//! How pods answer, and who was told so.

use std::{collections::BTreeMap, time::Duration};

use super::pods::Member;

/// How a pod answers. By default well: 200 at once, with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// Share of requests that fail, 0 to 1. Which ones is not left to chance: of 0.25 it is each fourth.
    pub failing: f64,
    /// What a failure looks like: its status.
    pub code: u16,
    /// How long an answer takes.
    pub latency: Duration,
    /// What it says, if not the pod's name.
    pub body: Option<String>,
    /// Gauges of its own, by name, e.g. the length of a queue.
    pub gauges: BTreeMap<String, f64>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { failing: 0.0, code: 500, latency: Duration::ZERO, body: None, gauges: BTreeMap::new() }
    }
}

impl Behaviour {
    /// This share of requests fails with 500.
    pub fn failing(share: f64) -> Self {
        Self { failing: share, ..Self::default() }
    }

    /// All is well, but takes so long.
    pub fn slow(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }

    /// It exposes a gauge; NaN and infinities are fine.
    pub fn showing(mut self, gauge: &str, value: f64) -> Self {
        self.gauges.insert(gauge.into(), value);
        self
    }

    /// Is it the turn of the nth request, from 0, to fail?
    fn fails(&self, nth: u32) -> bool {
        let so_far = |requests: f64| (requests * self.failing + 1e-9).floor();
        so_far(f64::from(nth) + 1.0) > so_far(f64::from(nth))
    }
}

/// Who was told what.
#[derive(Debug, Default)]
pub struct Behaviours {
    told: Vec<(String, String, Behaviour)>,
    turns: BTreeMap<(String, String), u32>,
}

impl Behaviours {
    /// Told last, it counts before all that was told.
    pub fn set(&mut self, namespace: &str, labels: &str, behaviour: Behaviour) {
        self.told.retain(|(of, to, _)| (of.as_str(), to.as_str()) != (namespace, labels));
        self.told.push((namespace.into(), labels.into(), behaviour));
        self.turns.retain(|(of, _), _| of != namespace);
    }

    /// How this pod answers now.
    pub fn of(&self, member: &Member) -> Behaviour {
        let fits = |(namespace, labels, _): &&(String, String, Behaviour)| {
            *namespace == member.namespace && member.carries(labels)
        };
        self.told.iter().rev().find(fits).map(|(_, _, behaviour)| behaviour.clone()).unwrap_or_default()
    }

    /// How it answers its next request, and with which status.
    pub fn turn(&mut self, member: &Member) -> (Behaviour, u16) {
        let behaviour = self.of(member);
        let turn = self.turns.entry((member.namespace.clone(), member.pod.clone())).or_default();
        let status = if behaviour.fails(*turn) { behaviour.code } else { 200 };
        *turn = turn.wrapping_add(1);
        (behaviour, status)
    }
}

#[cfg(test)]
mod tests {
    use super::{Behaviour, Behaviours, Member};

    fn member(pod: &str) -> Member {
        let labels = [("app".to_owned(), "web".to_owned())].into();
        Member { namespace: "shop".into(), pod: pod.into(), labels, workload: "web".into(), service: None }
    }

    #[test]
    fn a_share_of_failures_is_exact() {
        for (share, failures) in [(0.0, 0), (0.01, 10), (0.25, 250), (1.0, 1000)] {
            let behaviour = Behaviour::failing(share);
            assert_eq!((0..1000).filter(|nth| behaviour.fails(*nth)).count(), failures, "{share}");
        }
    }

    #[test]
    fn what_was_told_last_counts_for_those_who_were_told() {
        let mut behaviours = Behaviours::default();
        behaviours.set("shop", "app=web", Behaviour::failing(1.0));
        behaviours.set("shop", "app=api", Behaviour::default());
        behaviours.set("other", "", Behaviour::default());
        assert_eq!(behaviours.turn(&member("a")).1, 500);
        behaviours.set("shop", "", Behaviour::default());
        assert_eq!(behaviours.turn(&member("a")).1, 200);
        behaviours.set("shop", "app=web", Behaviour { code: 418, ..Behaviour::failing(0.5) });
        assert_eq!([0, 1].map(|_| behaviours.turn(&member("a")).1), [200, 418]);
    }
}
