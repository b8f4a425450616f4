//! The clock of the controller.

use jiff::{Timestamp, Unit};

/// Now, to the millisecond: that is what the status keeps.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}
