//! When an item must be asked, and what.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Mark, Outcome, Reply, answer, outcome, template, template::Values};
use crate::{
    api::{ItemStatus, KanaryDeploymentStatus, PromQl, duration, names},
    lifecycle::{Absence, Observed},
    seen::{Seen, hash},
};

/// After an answer that says nothing it is asked again so soon, then ever later, up to the interval.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(1);

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
    /// The canary's pods.
    pub pods: BTreeSet<String>,
    /// How long the clock has stood still so far.
    pub held: SignedDuration,
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

fn pods(seen: &Observed) -> BTreeSet<String> {
    seen.pods.iter().map(|pod| pod.name().to_owned()).collect()
}

/// Names the question of this very validation: an answer that another run, or an edited item, asked for is none.
#[must_use]
pub fn ticket(seen: &Observed, status: &KanaryDeploymentStatus, item: &PromQl) -> String {
    hash::of(&json!([identity(seen, item), status.run, status.evidence_since]))
}

/// The last answer to it.
pub(super) fn reply<'a>(
    seen: &'a Observed,
    status: &KanaryDeploymentStatus,
    name: &str,
    item: &PromQl,
) -> Option<&'a Reply> {
    let reply = seen.answers.get(name)?.last.as_ref()?;
    (reply.hash == ticket(seen, status, item)).then_some(reply)
}

/// When asking begins: `initialDelay` is over, on a clock that may have stood still.
fn begins(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Timestamp> {
    let wait = seen.kanary.spec.validation.initial_delay.saturating_add(status.held);
    status.evidence_since?.saturating_add(wait).ok()
}

/// Where the clock would have to stand again to stand as it did at a mark.
fn on_the_clock(status: &KanaryDeploymentStatus, mark: Mark) -> Timestamp {
    let held = status.held.saturating_sub(mark.held).max(SignedDuration::ZERO);
    let last_hold = status.accounted_until.map_or(mark.at, |accounted| accounted.max(mark.at));
    mark.at.saturating_add(held).unwrap_or(Timestamp::MAX).min(last_hold)
}

/// The last evidence on the clock; before the first, and after a restart, evidence is awaited since then.
pub(super) fn base(seen: &Observed, status: &KanaryDeploymentStatus, reply: Option<&Reply>) -> Option<Timestamp> {
    let last = reply.and_then(|reply| reply.conclusive).map(|mark| on_the_clock(status, mark));
    last.or_else(|| begins(seen, status)).max(resumed(seen, status, reply.and_then(|reply| reply.conclusive)))
}

/// A controller looks on again since then, and has had no conclusive answer yet but that one.
pub(super) fn resumed(seen: &Observed, status: &KanaryDeploymentStatus, last: Option<Mark>) -> Option<Timestamp> {
    let begins = begins(seen, status)?;
    let resumed = seen.absences.iter().map(|absence| absence.until).max().filter(|until| begins < *until)?;
    last.is_none_or(|last| last.at < resumed).then_some(resumed)
}

/// Without a conclusive answer the clock stands still from then on.
#[must_use]
pub fn stale_at(seen: &Observed, status: &KanaryDeploymentStatus, name: &str, item: &PromQl) -> Option<Timestamp> {
    base(seen, status, reply(seen, status, name, item))?.saturating_add(patience(seen)).ok()
}

/// Two intervals: longer there must not be no evidence.
fn patience(seen: &Observed) -> SignedDuration {
    seen.kanary.spec.validation.max_interval_period.saturating_mul(2)
}

/// The time before the last conclusive answer in which there should have been another one, as long as the status does not
/// account for it. It is told once it is over, too: what is not written down in time must not pass for evidence.
#[must_use]
pub fn missing(seen: &Observed, status: &KanaryDeploymentStatus, name: &str, item: &PromQl) -> Option<Absence> {
    let reply = reply(seen, status, name, item)?;
    let until = reply.conclusive?;
    let before = reply.previous.map(|mark| on_the_clock(status, mark)).or_else(|| begins(seen, status))?;
    // Of the time before a restart nothing is known; the first answer after it came late, however soon it came.
    let resumed =
        resumed(seen, status, reply.previous).map(|resumed| resumed.max(status.accounted_until.unwrap_or(resumed)));
    let (from, patience) = resumed.map_or((before, patience(seen)), |resumed| (resumed, SignedDuration::ZERO));
    (from.duration_until(until.at) > patience).then_some(Absence { from, until: until.at })
}

/// When it must be asked next; nothing while a question is under way, or while the last answer has something to say that
/// the status does not hold yet.
#[must_use]
pub fn due(seen: &Observed, status: &KanaryDeploymentStatus, name: &str, item: &PromQl) -> Option<Timestamp> {
    if seen.answers.get(name).is_some_and(|asked| asked.pending.is_some()) {
        return None;
    }
    let begins = begins(seen, status)?;
    let Some(reply) = reply(seen, status, name, item) else { return Some(begins) };
    // A hold that goes on covers it; in that the answer is waited for.
    let is_held = |gap: &Absence| status.held_since.is_some_and(|held| held <= gap.from);
    if missing(seen, status, name, item).is_some_and(|gap| !is_held(&gap)) {
        return None;
    }
    let interval = seen.kanary.spec.validation.max_interval_period;
    let next = match &reply.outcome {
        Outcome::False(_) if !is_counted(seen, status, name, item, reply) => return None,
        Outcome::True(_) | Outcome::False(_) => spread(seen, name, interval),
        Outcome::Unknown(_) => interval.min(FIRST_RETRY.saturating_mul(1 << reply.doubts.saturating_sub(1).min(16))),
    };
    let next = reply.at.saturating_add(next).unwrap_or(Timestamp::MAX);
    let last = status.deadline.filter(|deadline| reply.at < *deadline);
    let anew = resumed(seen, status, reply.conclusive).filter(|resumed| reply.at < *resumed);
    [Some(next), last, anew].into_iter().flatten().min()
}

fn is_counted(seen: &Observed, status: &KanaryDeploymentStatus, name: &str, item: &PromQl, reply: &Reply) -> bool {
    before(seen, status, name, item).is_some_and(|before| before.last_failure >= Some(reply.at))
}

/// What the status says of this very question.
pub(super) fn before<'a>(
    seen: &Observed,
    status: &'a KanaryDeploymentStatus,
    name: &str,
    item: &PromQl,
) -> Option<&'a ItemStatus> {
    let hash = identity(seen, item);
    status.items.iter().find(|status| status.name == name && status.hash.as_deref() == Some(&hash))
}

/// A little less than the interval, by an amount of the item's own: canaries that began together do not ask together.
fn spread(seen: &Observed, name: &str, interval: SignedDuration) -> SignedDuration {
    let own = hash::of(&json!([seen.kanary.uid(), name]));
    let tenth = i32::from_str_radix(&own[..2], 16).unwrap_or_default();
    interval - interval / 2560 * tenth
}

/// The question, now.
#[must_use]
pub fn inquiry(seen: &Observed, status: &KanaryDeploymentStatus, name: &str, item: &PromQl) -> Option<Inquiry> {
    let url = seen.prometheus.url(item.prometheus.as_ref().and_then(|at| at.url.as_deref())).ok()?;
    let query = template::render(&item.query, &values(seen, status.evidence_since?)).ok()?;
    Some(Inquiry {
        item: name.to_owned(),
        hash: ticket(seen, status, item),
        query,
        url: url.to_owned(),
        prom_ql: item.clone(),
        pods: pods(seen),
        held: status.held.saturating_add(status.held_since.map(|at| at.duration_until(seen.now)).unwrap_or_default()),
    })
}
