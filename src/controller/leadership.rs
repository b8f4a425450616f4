//! Whether this process may write, as far as it knows: what the last renewal of the Lease said.
//!
//! Not here: how the Lease is acquired and renewed (`leader`).

use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::decision::Absence;

/// The holder stops writing this long after the last renewal that it knows of.
const TRUST: Duration = Duration::from_secs(10);

/// What this process knows of its leadership.
#[derive(Default)]
pub struct Leadership(Mutex<Reign>);

#[derive(Clone, Default)]
pub struct Reign {
    /// The last renewal that is known of, by the clock of this process and by the one of the host.
    pub renewed: Option<(Instant, Timestamp)>,
    pub absences: Vec<Absence>,
    /// A task was refused since then, so it sleeps. A renewal that takes long continues a reign that was over for a moment.
    pub refused: bool,
}

impl Reign {
    /// The clock of the process stops while the host sleeps, and the clock of the host can be set: after a leap of either it
    /// is unknown what was missed, until the Lease is renewed and the time between is an absence.
    fn holds(&self, clock: Instant, time: Timestamp) -> bool {
        self.renewed.is_some_and(|(instant, renewed)| {
            clock.duration_since(instant) < TRUST && renewed.duration_until(time).unsigned_abs() < TRUST
        })
    }
}

impl Leadership {
    /// May this process write now?
    pub fn holds(&self) -> bool {
        let mut reign = self.0.lock();
        let holds = reign.holds(Instant::now(), Timestamp::now());
        reign.refused |= !holds;
        holds
    }

    /// When no controller was watching.
    pub fn absences(&self) -> Vec<Absence> {
        self.0.lock().absences.clone()
    }

    /// Was any task refused before that, which must be woken now?
    pub fn set(&self, reign: Reign) -> bool {
        std::mem::replace(&mut *self.0.lock(), reign).refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
    }

    /// The API server took seconds to renew the Lease; meanwhile a task was refused, and went to sleep for an hour.
    #[test]
    fn a_task_that_was_refused_is_woken_by_the_next_renewal() {
        let (leadership, now) = (Leadership::default(), (Instant::now(), Timestamp::now()));
        let reign = Reign { renewed: Some(now), ..Reign::default() };
        assert!(!leadership.holds());
        assert!(leadership.set(reign.clone()), "the one that was refused sleeps");
        assert!(leadership.holds());
        assert!(!leadership.set(reign), "none was refused since");
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
}
