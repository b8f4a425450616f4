//! Whether the watch of a store goes on, and since when it does not.

use jiff::Timestamp;

use super::Store;
use crate::objects::Object;

impl<K: Object + Clone> Store<K> {
    /// The watch reports something, if only of an object that no decision reads.
    pub fn hear(&self, now: Timestamp) {
        self.lock().heard_at = Some(now);
    }

    /// Did the watch report anything since then?
    pub fn heard_since(&self, then: Timestamp) -> bool {
        self.lock().heard_at.is_some_and(|at| at >= then)
    }

    /// The watch broke: what is known grows stale.
    pub fn lose(&self, now: Timestamp) {
        let mut contents = self.lock();
        contents.lost_since.get_or_insert(now);
        contents.is_relisted = false;
    }

    /// The watch goes on. With a full list since it broke, what is known is current again. Before it counts as such, the time
    /// since it broke is accounted for: no task must find a time that nothing accounts for. Was it broken?
    pub fn regain(&self, account_for: impl FnOnce(Timestamp)) -> bool {
        let mut contents = self.lock();
        let lost = if contents.is_relisted { contents.lost_since.take() } else { None };
        lost.map(account_for).is_some()
    }

    /// Since when is the watch broken, if it is?
    pub fn lost_since(&self) -> Option<Timestamp> {
        self.lock().lost_since
    }
}
