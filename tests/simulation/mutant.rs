//! Deliberate mistakes, each a wrapper around the plan: a checker that never fails proves nothing.

use kanary::lifecycle::{self, Observed, Plan};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mutant {
    #[default]
    None,
    ForgetsItsWrites,
}

impl Mutant {
    pub fn plan(self, observed: &mut Observed) -> Plan {
        lifecycle::plan(observed)
    }
}
