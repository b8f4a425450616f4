//! What an item asks.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Outcome, answer, case::Case, outcome, template, template::Values};
use crate::{
    api::{KanaryDeploymentStatus, PromQl, duration, names},
    lifecycle::Observed,
    seen::{Seen, hash},
};

/// A question that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    /// Name of the item.
    pub item: String,
    /// Which question it is; of another one the answer does not count.
    pub hash: String,
    /// The query to send.
    pub query: String,
    /// Where to.
    pub url: String,
    /// How to ask, and how to read the answer.
    pub prom_ql: PromQl,
    /// The canary's pods but those on their way out.
    pub pods: BTreeSet<String>,
    /// How long the clock has stood still so far.
    pub held: SignedDuration,
    /// When it was to be asked, by the clock.
    pub due: Timestamp,
}

impl Inquiry {
    /// Reads what came.
    #[must_use]
    pub fn read(&self, status: u16, body: &[u8]) -> Outcome {
        match answer::read(status, body) {
            Ok(answer) => outcome::judge(&self.prom_ql, &self.pods, &answer),
            Err(doubt) => Outcome::Unknown(doubt.to_string()),
        }
    }
}

/// Says which question an item asks. Pods come and go, and time passes, without making it another one.
#[must_use]
pub fn identity(seen: &Observed, item: &PromQl) -> String {
    let timeless = Values { pods: BTreeSet::new(), elapsed: String::new(), ..values(seen, Timestamp::MIN) };
    let query = template::render(&item.query, &timeless).unwrap_or_default();
    hash::of(&json!([item, query]))
}

/// What the variables stand for.
pub(super) fn values(seen: &Observed, since: Timestamp) -> Values {
    let kanary = &seen.kanary;
    let elapsed = SignedDuration::from_secs(since.duration_until(seen.now).as_secs().max(1));
    Values {
        kanary: kanary.name().to_owned(),
        namespace: kanary.namespace().to_owned(),
        deployment: names::base(kanary),
        canary: names::canary(kanary),
        service: kanary.spec.service_name.clone(),
        kanary_service: names::kanary_service(kanary),
        pods: pods(seen),
        period: duration::print(kanary.spec.validation.validation_period),
        elapsed: duration::print(elapsed),
    }
}

/// The pods that are judged. Those of a former template may still end when the ones of a new run are ready.
pub(super) fn pods(seen: &Observed) -> BTreeSet<String> {
    seen.live_pods().map(|pod| pod.name().to_owned()).collect()
}

/// Names the question of this very validation: an answer that another run, or an edited item, asked for is none.
#[must_use]
pub fn ticket(seen: &Observed, status: &KanaryDeploymentStatus, item: &PromQl) -> String {
    stamped(&identity(seen, item), status)
}

pub(super) fn stamped(identity: &str, status: &KanaryDeploymentStatus) -> String {
    hash::of(&json!([identity, status.run, status.evidence_since]))
}

/// The question, now, if it is due.
#[must_use]
pub fn inquiry(case: &Case<'_>) -> Option<Inquiry> {
    let due = case.due().filter(|due| *due <= case.seen.now)?;
    let Case { seen, status, name, item, .. } = *case;
    let url = seen.prometheus.url(item.prometheus.as_ref().and_then(|at| at.url.as_deref())).ok()?;
    let query = template::render(&item.query, &values(seen, status.evidence_since?)).ok()?;
    Some(Inquiry {
        item: name.to_owned(),
        hash: stamped(&case.identity, status),
        query,
        url: url.to_owned(),
        prom_ql: item.clone(),
        pods: pods(seen),
        held: status.held.saturating_add(status.held_since.map(|at| at.duration_until(seen.now)).unwrap_or_default()),
        due,
    })
}
