//! How pods answer, and which pods answer so.

use std::{collections::BTreeMap, time::Duration};

use super::pods::Member;

/// How a pod answers. By default with status 200 at once, and its name as the body.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// Share of requests that fail, 0 to 1. Which ones is not random: with 0.25 it is every fourth.
    pub failing: f64,
    /// The status of a failure.
    pub code: u16,
    /// How long a response takes.
    pub latency: Duration,
    /// The body, if not the pod's name.
    pub body: Option<String>,
    /// Additional gauges by name, e.g. the length of a queue.
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

    /// Every request succeeds after `latency`.
    pub fn slow(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }

    /// Exposes a gauge; NaN and infinities are allowed.
    pub fn showing(mut self, gauge: &str, value: f64) -> Self {
        self.gauges.insert(gauge.into(), value);
        self
    }

    /// Does the nth request, counted from 0, fail?
    fn fails(&self, nth: u32) -> bool {
        let so_far = |requests: f64| (requests * self.failing + 1e-9).floor();
        so_far(f64::from(nth) + 1.0) > so_far(f64::from(nth))
    }
}

/// The behaviours that were set.
#[derive(Debug, Default)]
pub struct Behaviours {
    rules: Vec<(String, String, Behaviour)>,
    requests: BTreeMap<(String, String), u32>,
}

impl Behaviours {
    /// The last one set has precedence over all others.
    pub fn set(&mut self, namespace: &str, labels: &str, behaviour: Behaviour) {
        self.rules.retain(|(of, to, _)| (of.as_str(), to.as_str()) != (namespace, labels));
        self.rules.push((namespace.into(), labels.into(), behaviour));
        self.requests.retain(|(of, _), _| of != namespace);
    }

    /// How this pod answers now, without its annotations.
    pub fn of(&self, member: &Member) -> Behaviour {
        let fits = |(namespace, labels, _): &&(String, String, Behaviour)| {
            *namespace == member.namespace && member.has_labels(labels)
        };
        self.rules.iter().rev().find(fits).map(|(_, _, behaviour)| behaviour.clone()).unwrap_or_default()
    }

    /// With which status it answers its next request, if it behaves so.
    pub fn next_status(&mut self, member: &Member, behaviour: &Behaviour) -> u16 {
        let nth = self.requests.entry((member.namespace.clone(), member.pod.clone())).or_default();
        let status = if behaviour.fails(*nth) { behaviour.code } else { 200 };
        *nth = nth.wrapping_add(1);
        status
    }
}

#[cfg(test)]
mod tests {
    use super::{Behaviour, Behaviours, Member};

    fn member(pod: &str) -> Member {
        let labels = [("app".to_owned(), "web".to_owned())].into();
        let annotations = [].into();
        Member { namespace: "shop".into(), pod: pod.into(), labels, annotations, workload: "web".into(), service: None }
    }

    fn status(behaviours: &mut Behaviours) -> u16 {
        let behaviour = behaviours.of(&member("a"));
        behaviours.next_status(&member("a"), &behaviour)
    }

    #[test]
    fn a_share_of_failures_is_exact() {
        for (share, failures) in [(0.0, 0), (0.01, 10), (0.25, 250), (1.0, 1000)] {
            let behaviour = Behaviour::failing(share);
            assert_eq!((0..1000).filter(|nth| behaviour.fails(*nth)).count(), failures, "{share}");
        }
    }

    #[test]
    fn the_behaviour_that_was_set_last_applies_to_the_pods_it_matches() {
        let mut behaviours = Behaviours::default();
        behaviours.set("shop", "app=web", Behaviour::failing(1.0));
        behaviours.set("shop", "app=api", Behaviour::default());
        behaviours.set("other", "", Behaviour::default());
        assert_eq!(status(&mut behaviours), 500);
        behaviours.set("shop", "", Behaviour::default());
        assert_eq!(status(&mut behaviours), 200);
        behaviours.set("shop", "app=web", Behaviour { code: 418, ..Behaviour::failing(0.5) });
        assert_eq!([0, 1].map(|_| status(&mut behaviours)), [200, 418]);
    }
}
