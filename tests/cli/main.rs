//! `kubectl kanary` without a cluster: what it prints for fixed inputs, compared with files. A new input file is a new test.
//! `KANARY_SNAPSHOTS=write cargo test -p kanary --test cli` rewrites the files; read the difference.

#![allow(clippy::expect_used, clippy::panic)]

mod approve;
mod cluster;
mod connection;
mod docs;
mod foreign;
mod generate;
mod plan;
mod screens;
mod server;
mod snapshot;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Functions as tests of their names. One that is not listed is never used, which the compiler reports.
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        vec![$($crate::trial(&format!("{}::{}", module_path!(), stringify!($test)), $test)),*]
    };
}
pub(crate) use trials;

/// A test fails by a panic.
fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name.trim_start_matches("cli::"), || {
        test();
        Ok(())
    })
}

fn main() -> ExitCode {
    let trials = [
        approve::trials(),
        cluster::trials(),
        connection::trials(),
        docs::trials(),
        foreign::trials(),
        generate::trials(),
        plan::trials(),
        screens::trials(),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect()).exit_code()
}
