//! Decisions of the core, one by one: given what is observed, what follows? Whole histories are `simulation`'s subject.

#![allow(clippy::expect_used, clippy::panic)]

mod clock;
mod given;
mod mirror;
mod production;
mod promotion;
mod promql;
mod record;
mod splice;
mod starting;
mod telling;
mod verdict;
mod withhold;
