//! `watch`: a run, live. On a terminal a screen that is redrawn; elsewhere a line for each change, until the run is over.

mod feed;
mod lines;
mod screen;
mod state;
mod view;

use std::io::IsTerminal;

pub use state::{State, Update, Watched};
pub use view::draw;

use super::{Error, client, cluster_flags::ClusterFlags, connection, output};
use crate::objects::Object;

/// Watch a run live: phase, progress, verdicts, pods, events.
///
/// On a terminal a screen that is redrawn on each change; `q` quits. Elsewhere a line for each change, until the run is
/// over; the exit code is 1 if the run failed.
#[derive(clap::Args, Debug)]
pub struct Watch {
    /// Name of the KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
}

/// Runs the verb. Without a terminal it ends with the run, and fails if the run failed.
///
/// # Errors
/// Nothing can be read; and [`Error::Reported`] after a run that failed.
pub fn run(flags: &ClusterFlags, Watch { name }: &Watch) -> Result<(), Error> {
    connection::block_on(async {
        let connection = connection::connect(flags).await?;
        // If it cannot be read at all, that is an error, not an empty screen.
        let kanary = client::get(&connection, name).await?.readable()?.clone();
        let updates = feed::updates(&connection, &kanary);
        if !std::io::stdout().is_terminal() {
            return lines::follow(updates, State::new(kanary)).await;
        }
        let state = screen::show(updates, State::new(kanary)).await?;
        let (name, message) = (state.kanary.name(), state.message());
        output::print(&format!("{name}: {}{message}\n", state.word()))
    })
}
