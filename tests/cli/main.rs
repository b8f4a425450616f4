//! `kubectl kanary` without a cluster: what it prints for fixed inputs, compared with files. A new input file is a new
//! case. `KANARY_SNAPSHOTS=write cargo test -p kanary --test cli` writes what is printed now; read the difference.

#![allow(clippy::expect_used, clippy::panic)]

mod cluster;
mod docs;
mod generate;
mod people;
mod plan;
mod screens;
mod server;
mod snapshot;
