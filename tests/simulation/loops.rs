//! The laws of the reconcile loop itself: what failed is reported, what fails again is not hammered, and a status speaks
//! of writes that were made.

use std::{collections::BTreeMap, sync::Arc};

use kanary::{
    decision::{Observed, Plan},
    objects::Object,
};

use crate::{
    checker::{Check, ensure},
    server::Refused,
};

/// The same request fails at most so often in a row while nothing else happens.
const MOST_TRIES: usize = 2;

/// What the loops did so far.
#[derive(Default)]
pub struct Loops {
    /// Counts what the controller may take for a reason to try again: events, results, and time.
    news: u64,
    /// The failed requests that the next plan must know of, by uid.
    failed: BTreeMap<String, String>,
    /// The request that failed last, how often in a row, and when by the count of news; by uid.
    tries: BTreeMap<String, (String, usize, u64)>,
    /// The writes that a plan still has to make, by its observation.
    owed: BTreeMap<usize, usize>,
}

fn id(observed: &Arc<Observed>) -> usize {
    Arc::as_ptr(observed) as usize
}

impl Loops {
    /// Something happened.
    pub fn hear(&mut self) {
        self.news += 1;
    }

    /// A controller that starts remembers nothing.
    pub fn forget(&mut self) {
        self.failed.clear();
        self.tries.clear();
    }

    /// A decision was made.
    pub fn planned(&mut self, observed: &Arc<Observed>, plan: &Plan) -> Check {
        let reports_fault = !observed.faults.is_empty() && plan.status.is_some();
        self.owed.insert(id(observed), if reports_fault { 0 } else { plan.actions.len() });
        let failed = self.failed.remove(observed.kanary.uid());
        let is_known = failed.is_none() || !observed.faults.is_empty();
        ensure(is_known, "faults are remembered", || format!("{}: {failed:?} is forgotten", observed.id()))
    }

    /// A request was made by the leader.
    pub fn requested(&mut self, observed: &Observed, request: &str, done: &Result<(), Refused>) -> Check {
        let uid = observed.kanary.uid().to_owned();
        let failure = done.as_ref().err().filter(|why| ![404, 409].contains(&why.code));
        let Some(why) = failure else {
            self.tries.remove(&uid);
            return Ok(());
        };
        self.failed.insert(uid.clone(), why.why.clone());
        let what = format!("{request}: {}", why.why);
        let (last, count, since) = self.tries.remove(&uid).unwrap_or_default();
        let count = if last == what && since == self.news { count + 1 } else { 1 };
        self.tries.insert(uid, (what.clone(), count, self.news));
        ensure(count <= MOST_TRIES, "failures back off", || {
            format!("{}: {count} times in a row: {what}", observed.id())
        })
    }

    /// A write of a plan was made or tried.
    pub fn acted(&mut self, observed: &Arc<Observed>) {
        if let Some(owed) = self.owed.get_mut(&id(observed)) {
            *owed = owed.saturating_sub(1);
        }
    }

    /// A status was written, or was to be.
    pub fn told(&mut self, observed: &Arc<Observed>) -> Check {
        let owed = self.owed.get(&id(observed)).copied().unwrap_or_default();
        ensure(owed == 0, "writes come before the status", || format!("{}: {owed} writes are owed", observed.id()))
    }
}
