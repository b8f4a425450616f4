//! The simulation: random histories of a small cluster, with faults, around the real core.
//!
//! A simulated API server, Kubernetes' own controllers, people who change their minds, and one or more Kanary
//! controllers with late stores, lost answers, crashes and changes of leader. Every step is checked against the
//! invariants I1 to I5; at the end faults stop, and everything must come to rest in the state that is requested.
//!
//! `KANARY_SIM_SEED=7 cargo test --test simulation` replays one history and prints it;
//! `KANARY_SIM_HISTORIES=100000` sets how many there are.

#![allow(clippy::expect_used, clippy::unwrap_used)] // a test that fails by a panic says what it expected
#![allow(clippy::wildcard_enum_match_arm)] // a law is about the variants that it names

mod admission;
mod cache;
mod checker;
mod coverage;
mod deployments;
mod evidence;
mod history;
mod ledger;
mod loops;
mod machinery;
mod mutant;
mod mutants;
mod neighbour;
mod past;
mod patch;
mod person;
mod prometheus;
mod request;
mod rest;
mod rng;
mod routes;
mod scene;
mod server;
mod shell;
mod words;
mod writes;

use std::{
    collections::BTreeMap,
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use checker::Violation;
use coverage::Coverage;
use history::Failure;
use mutant::Mutant;

const HISTORIES: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

#[test]
fn every_history_keeps_the_invariants() {
    if let Some(seed) = number("KANARY_SIM_SEED") {
        return tell(seed);
    }
    let count = number("KANARY_SIM_HISTORIES").unwrap_or(HISTORIES);
    let (coverage, broken) = many(count, Mutant::None);
    println!("{:#?}\n{} plans", coverage.reached, coverage.plans);
    for Broken { seed, law, how } in &broken {
        println!("KANARY_SIM_SEED={seed} breaks {law}: {how}");
    }
    assert!(broken.is_empty(), "{} laws are broken", broken.len());
    let gaps = coverage.gaps(count);
    assert!(gaps.is_empty(), "histories that are too tame prove nothing: {gaps:?}");
}

/// A broken law, and the first seed that breaks it so.
struct Broken {
    seed: u64,
    law: &'static str,
    how: String,
}

/// All seeds below `count`, on two threads. Of each kind of failure the first is kept.
fn many(count: u64, mutant: Mutant) -> (Coverage, Vec<Broken>) {
    let next = AtomicU64::new(0);
    let broken = Mutex::new(BTreeMap::new());
    let work = || {
        let mut coverage = Coverage::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return coverage;
            }
            match history::run(seed, mutant, false) {
                Ok(one) => coverage.merge(&one),
                Err(Failure { violation: Violation { law, how }, .. }) => {
                    let alike: String = law.chars().chain(how.chars().filter(|c| !c.is_numeric())).take(60).collect();
                    let mut broken = broken.lock().expect("no thread panicked");
                    broken.entry(alike).or_insert(Broken { seed, law, how });
                }
            }
        }
    };
    let mut coverage = Coverage::default();
    thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        for thread in threads {
            coverage.merge(&thread.join().expect("a history panicked"));
        }
    });
    (coverage, broken.into_inner().expect("no thread panicked").into_values().collect())
}

/// Replays one history, and prints it if it fails.
fn tell(seed: u64) {
    let Err(Failure { violation, trace }) = history::run(seed, Mutant::None, true) else { return };
    println!("{}", trace.join("\n"));
    panic!("KANARY_SIM_SEED={seed} breaks {}: {}", violation.law, violation.how);
}
