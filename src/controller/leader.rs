//! Leader election: the holder of the Lease may write.
//!
//! A library would elect a leader; this also keeps, in an annotation of the Lease, the absences: when no controller was
//! watching, which the clock of a validation must not count (docs/decisions/0005-lease.md).
//!
//! # Guarantee
//! Two processes never both believe that they are the leader, as long as the clocks of their hosts differ by less than five
//! seconds: a leader stops that much earlier than another may take over. Beyond that the guards of the writes hold. A renewal
//! in the future, or one that cannot be read, is not believed: then the holder has 15 s by the clock of the process that waits.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use super::{
    clock,
    context::Context,
    leadership::Reign,
    lease::LeaseApi,
    request::{self, bounded},
};
use crate::{
    api::names::{ABSENCES, LEASE},
    decision::Absence,
};

/// Another controller may take over this long after the last renewal.
const DURATION: SignedDuration = SignedDuration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(5);
const TRY_EVERY: Duration = Duration::from_secs(2);
/// A renewal that fails, or has no answer within this timeout, is tried again while this process may still be the leader: an
/// absence of ten seconds because of one lost packet would set every clock back.
const RENEW_WITHIN: Duration = Duration::from_secs(4);
const RENEW_AGAIN: Duration = Duration::from_millis(500);
/// The name of what is renewed, in warnings.
const LEASES: &str = "leases";
/// More absences than this are merged, oldest first: too long an absence is on the safe side.
const MOST_ABSENCES: usize = 32;

/// What to do about a Lease as it is.
#[derive(Debug, PartialEq)]
enum Bid {
    /// Write it like this, and be the leader.
    Take(Box<Lease>),
    /// Another controller holds it.
    Wait(String),
}

/// The outcome of a bid.
enum Held {
    Mine(Box<Lease>),
    By(String),
    /// It changed meanwhile.
    Changed,
}

/// What a campaign knows from the last try.
#[derive(Default)]
struct Campaign {
    /// The Lease as this process wrote it.
    known: Option<Lease>,
    /// The leader that was logged last.
    logged: Option<String>,
    sight: Sight,
}

/// Since when a Lease is as it is, by the clock of this process: no clock of another host, and nothing that the Lease
/// contains, can keep a holder that does not renew it.
#[derive(Default)]
struct Sight(Option<(Option<LeaseSpec>, Instant)>);

impl Sight {
    /// How long it has been like this.
    fn unchanged_for(&mut self, lease: Option<&Lease>, now: Instant) -> Duration {
        let spec = lease.and_then(|lease| lease.spec.clone());
        let (_, since) = self.0.take().filter(|(known, _)| *known == spec).unwrap_or((None, now));
        self.0 = Some((spec, since));
        now.duration_since(since)
    }
}

/// Acquires the Lease and renews it, indefinitely.
pub async fn campaign(context: &Context, api: &LeaseApi) {
    let mut campaign = Campaign::default();
    loop {
        let is_leader = context.leadership.holds();
        let sent = (Instant::now(), Timestamp::now());
        let timeout = if is_leader { RENEW_WITHIN } else { request::PATIENCE };
        let before = campaign.known.take();
        let bid = bid(api, &context.settings.identity, before.clone(), is_leader, &mut campaign.sight);
        let is_renewed = match request::within(timeout, bid).await {
            Ok(held) => {
                context.warnings.resolve(LEASES);
                campaign.conclude(context, sent, is_leader, held)
            }
            Err(error) => {
                context.warnings.warn(LEASES, &error);
                // One request less than to read it again; if it was written all the same, the next try shows that.
                campaign.known = before;
                false
            }
        };
        tokio::time::sleep(pause(is_leader, is_renewed)).await;
    }
}

fn pause(was_leader: bool, is_renewed: bool) -> Duration {
    match (is_renewed, was_leader) {
        (true, _) => RENEW_EVERY,
        (false, true) => RENEW_AGAIN,
        (false, false) => TRY_EVERY,
    }
}

impl Campaign {
    /// Takes note of the outcome of a bid. Does this process hold the Lease?
    fn conclude(&mut self, context: &Context, sent: (Instant, Timestamp), was_leader: bool, held: Held) -> bool {
        match held {
            Held::Mine(lease) => {
                let reign = Reign { renewed: Some(sent), absences: absences(&lease), refused: false };
                if context.leadership.set(reign) {
                    context.queue.wake_all();
                    context.finalizers.notify_one();
                }
                if !was_leader {
                    context.finalizers.notify_one();
                    tracing::info!(identity = context.settings.identity, "became leader");
                }
                (self.known, self.logged) = (Some(*lease), None);
                true
            }
            Held::By(leader) => {
                // Logged once: two that were meant for different namespaces may share a Lease by mistake.
                if self.logged.as_ref() != Some(&leader) {
                    let namespace = &context.settings.lease_namespace;
                    tracing::info!(leader, namespace, "waiting for leader election");
                    self.logged = Some(leader);
                }
                false
            }
            Held::Changed => false,
        }
    }
}

/// Releases the Lease, so that another controller need not wait.
pub async fn resign(context: &Context, api: &LeaseApi) {
    if !context.leadership.holds() {
        return;
    }
    context.leadership.set(Reign::default());
    let release = async {
        let Some(mut lease) = api.get().await? else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(&context.settings.identity) {
            spec.holder_identity = Some(String::new());
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            api.replace(&lease).await?;
        }
        Ok(())
    };
    if let Err(error) = bounded(release).await {
        tracing::warn!(%error, "cannot release the Lease; another controller waits until it expires");
    }
}

/// One try. A Lease that changed meanwhile was written by another controller: it is read again the next time.
async fn bid(
    api: &LeaseApi,
    me: &str,
    known: Option<Lease>,
    led: bool,
    sight: &mut Sight,
) -> Result<Held, kube::Error> {
    let seen = match known {
        Some(lease) => Some(lease),
        None => api.get().await?,
    };
    let unchanged_for = sight.unchanged_for(seen.as_ref(), Instant::now());
    let lease = match consider(seen.as_ref(), me, led, clock::now(), unchanged_for) {
        Bid::Take(lease) => lease,
        Bid::Wait(leader) => return Ok(Held::By(leader)),
    };
    let written = match seen {
        Some(_) => api.replace(&lease).await,
        None => api.create(&lease).await,
    };
    match written {
        Ok(lease) => Ok(Held::Mine(Box::new(lease))),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Held::Changed),
        Err(error) => Err(error),
    }
}

/// Pure: what to do about a Lease as it is, and has been for so long. A renewal in the future says nothing, and neither does
/// one that cannot be read: then the clock of this process counts, as with every client of Kubernetes. A new leader adds the absence since the last renewal; without a Lease that is all
/// the time before: it may have been deleted.
fn consider(seen: Option<&Lease>, me: &str, led: bool, now: Timestamp, unchanged_for: Duration) -> Bid {
    let before = seen.and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let renewed = before.renew_time.as_ref().map(|time| time.0).filter(|renewed| *renewed <= now);
    let holder = before.holder_identity.as_deref().unwrap_or_default();
    let is_idle = unchanged_for > DURATION.unsigned_abs();
    let expired = renewed.map_or(is_idle, |renewed| renewed.duration_until(now) > DURATION);
    if !(holder == me || holder.is_empty() || expired) {
        return Bid::Wait(holder.to_owned());
    }
    let goes_on = led && (seen.is_none() || holder == me && !expired);
    let mut absences = seen.map(absences).unwrap_or_default();
    let last_sign = renewed.unwrap_or(Timestamp::UNIX_EPOCH);
    absences.extend((!goes_on && last_sign < now).then_some(Absence { from: last_sign, until: now }));
    let acquired = before.acquire_time.filter(|_| goes_on).unwrap_or(MicroTime(now));
    let transitions = before.lease_transitions.unwrap_or_default() + i32::from(!goes_on && seen.is_some());
    Bid::Take(Box::new(Lease {
        metadata: metadata(seen, &merged(absences)),
        spec: Some(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(acquired),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions),
            ..before
        }),
    }))
}

fn metadata(seen: Option<&Lease>, absences: &[Absence]) -> ObjectMeta {
    let mut metadata = seen.map(|lease| lease.metadata.clone()).unwrap_or_default();
    metadata.name = Some(LEASE.into());
    metadata.managed_fields = None;
    let list = serde_json::to_string(absences).unwrap_or_default();
    metadata.annotations.get_or_insert_default().insert(ABSENCES.into(), list);
    metadata
}

fn absences(lease: &Lease) -> Vec<Absence> {
    let list = lease.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ABSENCES));
    list.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default()
}

fn merged(mut absences: Vec<Absence>) -> Vec<Absence> {
    while absences.len() > MOST_ABSENCES {
        let oldest = absences.remove(0);
        if let Some(next) = absences.first_mut() {
            next.from = oldest.from;
        }
    }
    absences
}

#[cfg(test)]
mod tests;
