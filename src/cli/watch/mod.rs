//! `watch`: a run, live. On a terminal a screen that is redrawn; elsewhere a line for each change, until the run is over.

mod feed;
mod items;
mod lines;
mod screen;
mod shown;
mod sparkline;
mod state;
mod view;

use std::{io::IsTerminal, sync::Arc, time::Duration};

pub use state::{Mode, State, Update, Watched};
pub use view::draw;

use super::{Error, client, cluster_flags::ClusterFlags, connection, output};
use crate::{api::duration, objects::Object};

/// Watch a run live: phase, progress, verdicts, pods, events.
///
/// On a terminal a screen that is redrawn on each change; `?` lists the keys. Elsewhere a line for each change, until the
/// run is over; the exit code is 1 if the run failed.
#[derive(clap::Args, Debug)]
pub struct Watch {
    /// Name of the KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
    /// How long to watch, e.g. 30m; the exit code is 1 if the run is not over by then. Default: until it is over.
    #[arg(long, value_name = "DURATION", value_parser = super::cluster_flags::timeout)]
    pub timeout: Option<Duration>,
}

/// Runs the verb. Without a terminal it ends with the run, and fails if the run failed.
///
/// # Errors
/// Nothing can be read; and [`Error::Reported`] after a run that failed.
pub fn run(flags: &ClusterFlags, arguments: &Watch) -> Result<(), Error> {
    let Watch { name, timeout } = arguments;
    let name = client::bare(name);
    connection::block_on(async {
        let watching = watch(flags, name);
        match timeout.filter(|timeout| !timeout.is_zero()) {
            None => watching.await,
            Some(timeout) => {
                tokio::time::timeout(timeout, watching).await.unwrap_or_else(|_| Err(too_late(name, timeout)))
            }
        }
    })
}

fn too_late(name: &str, timeout: Duration) -> Error {
    let timeout = timeout.try_into().map(duration::print).unwrap_or_default();
    Error::Failed(format!("the run of {name} is not over after {timeout} (--timeout)"))
}

async fn watch(flags: &ClusterFlags, name: &str) -> Result<(), Error> {
    let connection = connection::connect(&flags.for_watching()).await?;
    // If it cannot be read at all, that is an error, not an empty screen.
    let kanary = client::get(&connection, name).await?.readable()?.clone();
    let updates = feed::updates(&connection, &kanary);
    if !std::io::stdout().is_terminal() {
        return lines::follow(updates, State::new(kanary)).await;
    }
    let state = screen::show(updates, State::new(kanary), Arc::new(connection)).await?;
    let (name, message) = (state.kanary.name(), state.message());
    output::print(&format!("{name}: {}{message}\n", state.word()))
}
