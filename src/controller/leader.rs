//! Who may write: the holder of the Lease. And when nobody watched: what the Lease tells of the time before.
//!
//! A library would elect a leader; ours also keeps, in an annotation of the Lease, the absences that the clock of a
//! validation must not count. Two processes never both believe that they lead, as long as the clocks of their hosts differ
//! by less than five seconds: so much earlier a leader stops than another may take over. Beyond that the guards of the
//! writes hold (docs/decisions/0005-lease.md).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};

use super::{Context, execute, observe};
use crate::{
    api::names::{ABSENCES, LEASE, MANAGER},
    decision::Absence,
};

/// Another may take over so long after the last renewal.
const DURATION: SignedDuration = SignedDuration::from_secs(15);
/// The holder stops writing so long after the last renewal that it knows of.
const TRUST: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(5);
const TRY_EVERY: Duration = Duration::from_secs(2);
/// A renewal that fails, or has no answer for so long, is tried again while this process may still lead: an absence of
/// ten seconds for one lost packet would set every clock back.
const RENEW_WITHIN: Duration = Duration::from_secs(4);
const RENEW_AGAIN: Duration = Duration::from_millis(500);
/// More absences than this are merged, oldest first: too long an absence is on the safe side.
const MOST_ABSENCES: usize = 32;

/// What this process knows of its leadership.
#[derive(Default)]
pub struct Leadership(Mutex<Reign>);

#[derive(Clone, Default)]
struct Reign {
    /// The last renewal that is known of, by the clock of this process and by the one of the host.
    renewed: Option<(Instant, Timestamp)>,
    absences: Vec<Absence>,
    /// Somebody asked since then and was told no, so sleeps. A renewal that takes long goes on with a reign that was over
    /// for a moment.
    refused: bool,
}

impl Reign {
    /// The clock of the process stands still while the host sleeps, the one of the host is set by others: after a leap of
    /// either nobody knows what was missed, until the Lease is renewed and the time between is an absence.
    fn holds(&self, clock: Instant, time: Timestamp) -> bool {
        self.renewed.is_some_and(|(instant, renewed)| {
            clock.duration_since(instant) < TRUST && renewed.duration_until(time).unsigned_abs() < TRUST
        })
    }
}

impl Leadership {
    /// May this process write now?
    pub fn holds(&self) -> bool {
        let mut reign = self.lock();
        let holds = reign.holds(Instant::now(), Timestamp::now());
        reign.refused |= !holds;
        holds
    }

    /// When nobody watched.
    pub fn absences(&self) -> Vec<Absence> {
        self.lock().absences.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Reign> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Was anybody refused before that, who must be woken now?
    fn set(&self, reign: Reign) -> bool {
        std::mem::replace(&mut *self.lock(), reign).refused
    }
}

/// What to do about a Lease as it is.
#[derive(Debug, PartialEq)]
enum Bid {
    /// Write it so, and lead.
    Take(Box<Lease>),
    /// Somebody else holds it.
    Wait(String),
}

/// What came of a bid.
enum Held {
    Mine(Box<Lease>),
    By(String),
    /// It changed meanwhile.
    ByWhom,
}

/// Campaigns, leads, and campaigns again, for ever.
pub async fn campaign(context: Arc<Context>) {
    let api: Api<Lease> = Api::namespaced(context.client.clone(), &context.lease_namespace);
    let mut known: Option<Lease> = None;
    let mut said_leader = None;
    loop {
        let led = context.leadership.holds();
        let asked = (Instant::now(), Timestamp::now());
        let patience = if led { RENEW_WITHIN } else { execute::PATIENCE };
        let mut pause = if led { RENEW_AGAIN } else { TRY_EVERY };
        let before = known.take();
        match execute::within(patience, bid(&api, &context.identity, before.clone(), led)).await {
            Ok(Held::Mine(lease)) => {
                context.warnings.resolve("leases");
                let reign = Reign { renewed: Some(asked), absences: absences(&lease), refused: false };
                if context.leadership.set(reign) {
                    context.wake_all();
                }
                if !led {
                    tracing::info!(identity = context.identity, "leads");
                }
                (known, said_leader, pause) = (Some(*lease), None, RENEW_EVERY);
            }
            Ok(Held::By(leader)) => {
                context.warnings.resolve("leases");
                // Said once: two that were to serve different namespaces may have come to share a Lease.
                if said_leader.as_ref() != Some(&leader) {
                    tracing::info!(leader, namespace = context.lease_namespace, "waits, for another one leads");
                    said_leader = Some(leader);
                }
            }
            Ok(Held::ByWhom) => context.warnings.resolve("leases"),
            Err(error) => {
                context.warnings.warn("leases", &error);
                // One request less than to read it again; if it was written all the same, the next one says so.
                known = before;
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Gives the Lease up, so that another controller need not wait.
pub async fn resign(context: &Context) {
    if !context.leadership.holds() {
        return;
    }
    context.leadership.set(Reign::default());
    let api: Api<Lease> = Api::namespaced(context.client.clone(), &context.lease_namespace);
    let release = async {
        let mut lease = api.get(LEASE).await?;
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(&context.identity) {
            spec.holder_identity = Some(String::new());
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            api.replace(LEASE, &PostParams::default(), &lease).await?;
        }
        Ok(())
    };
    if let Err(error) = execute::bounded(release).await {
        tracing::warn!(%error, "could not give the lease up; another controller waits until it expires");
    }
}

/// One try. A Lease that changed meanwhile is somebody else's move: it is read again the next time.
async fn bid(api: &Api<Lease>, me: &str, known: Option<Lease>, led: bool) -> Result<Held, kube::Error> {
    let seen = match known {
        Some(lease) => Some(lease),
        None => api.get_opt(LEASE).await?,
    };
    let post = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let lease = match consider(seen.as_ref(), me, led, observe::now()) {
        Bid::Take(lease) => lease,
        Bid::Wait(leader) => return Ok(Held::By(leader)),
    };
    let written = match seen {
        Some(_) => api.replace(LEASE, &post, &lease).await,
        None => api.create(&post, &lease).await,
    };
    match written {
        Ok(lease) => Ok(Held::Mine(Box::new(lease))),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Held::ByWhom),
        Err(error) => Err(error),
    }
}

/// Pure: the bid that a Lease asks for. Whoever begins to lead adds the absence since the last sign of life; without a
/// Lease there is none, ever: it may have been deleted.
fn consider(seen: Option<&Lease>, me: &str, led: bool, now: Timestamp) -> Bid {
    let before = seen.and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let renewed = before.renew_time.as_ref().map(|time| time.0);
    let holder = before.holder_identity.as_deref().unwrap_or_default();
    let expired = renewed.is_none_or(|renewed| renewed.duration_until(now) > DURATION);
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
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
    }

    fn taken(bid: Bid) -> Lease {
        match bid {
            Bid::Take(lease) => *lease,
            Bid::Wait(leader) => panic!("waits for {leader}"),
        }
    }

    fn first() -> Lease {
        taken(consider(None, "a", false, at(0)))
    }

    fn since_ever() -> Absence {
        Absence { from: Timestamp::UNIX_EPOCH, until: at(0) }
    }

    /// The API server took seconds to renew the Lease; meanwhile a task looked, and went to sleep for an hour.
    #[test]
    fn who_was_refused_is_woken_by_the_next_renewal() {
        let (leadership, now) = (Leadership::default(), (Instant::now(), Timestamp::now()));
        let reign = Reign { renewed: Some(now), ..Reign::default() };
        assert!(!leadership.holds());
        assert!(leadership.set(reign.clone()), "one that was refused sleeps");
        assert!(leadership.holds());
        assert!(!leadership.set(reign), "nobody was refused since");
    }

    #[test]
    fn before_the_first_lease_nobody_is_known_to_have_watched() {
        assert_eq!(absences(&first()), [since_ever()]);
    }

    #[test]
    fn a_leader_whose_lease_is_deleted_watches_all_the_same() {
        assert_eq!(absences(&taken(consider(None, "a", true, at(5)))), []);
    }

    #[test]
    fn a_leader_goes_on_without_an_absence() {
        let renewed = taken(consider(Some(&first()), "a", true, at(5)));
        assert_eq!(absences(&renewed), [since_ever()]);
        assert_eq!(renewed.spec.expect("spec").acquire_time, Some(MicroTime(at(0))));
    }

    #[test]
    fn another_waits_for_the_lease_to_expire() {
        assert_eq!(consider(Some(&first()), "b", false, at(15)), Bid::Wait("a".into()));
        let taken_over = taken(consider(Some(&first()), "b", false, at(16)));
        assert_eq!(absences(&taken_over), [since_ever(), Absence { from: at(0), until: at(16) }]);
    }

    #[test]
    fn a_restart_under_the_same_name_is_an_absence() {
        let again = taken(consider(Some(&first()), "a", false, at(3)));
        assert_eq!(absences(&again), [since_ever(), Absence { from: at(0), until: at(3) }]);
    }

    #[test]
    fn a_leader_that_could_not_renew_for_too_long_was_absent() {
        let late = taken(consider(Some(&first()), "a", true, at(40)));
        assert_eq!(absences(&late), [since_ever(), Absence { from: at(0), until: at(40) }]);
    }

    #[test]
    fn trust_ends_with_time_and_with_a_leap_of_either_clock() {
        let begun = Instant::now();
        let reign = Reign { renewed: Some((begun, at(0))), ..Reign::default() };
        let holds = |clock: u64, time: i64| reign.holds(begun + Duration::from_secs(clock), at(time));
        assert!(holds(0, 0) && holds(9, 9));
        assert!(!holds(10, 10), "it was not renewed");
        assert!(!holds(1, 3600), "the host slept, or its clock was set forward");
        assert!(!holds(1, -3600), "its clock was set back");
        assert!(!Reign::default().holds(begun, at(0)));
    }

    #[test]
    fn many_absences_are_merged_to_the_longer_side() {
        let many: Vec<Absence> = (0..40).map(|i| Absence { from: at(i * 10), until: at(i * 10 + 1) }).collect();
        let few = merged(many);
        assert_eq!(few.len(), MOST_ABSENCES);
        assert_eq!(few[0], Absence { from: at(0), until: at(81) });
    }
}
