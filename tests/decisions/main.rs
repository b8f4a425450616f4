//! Decisions of the core, one by one: given what is observed, what follows? Whole histories are `simulation`'s subject.

#![allow(clippy::expect_used, clippy::panic)]
#![allow(clippy::wildcard_enum_match_arm)] // a test is about the variants that it names

mod approval;
mod clock;
mod disowned;
mod given;
mod mirror;
mod mirror_effect;
mod production;
mod promotion;
mod promql;
mod record;
mod remains;
mod services;
mod splice;
mod starting;
mod subsets;
mod telling;
mod unreadable;
mod verdict;
mod withhold;
