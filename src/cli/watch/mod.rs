//! `watch`: a run as it goes. On a terminal a view that moves; elsewhere a line for each change, until the run is over.

mod feed;
mod lines;
mod screen;
mod state;
mod view;

use std::io::IsTerminal;

pub use state::{Change, State, What};
pub use view::draw;

use super::{Cluster, Error, cluster, kanaries, output};
use crate::{api::Phase, objects::Object};

/// Watch a run: its phase, how long it is judged, verdicts, pods, events. `q` ends it.
#[derive(clap::Args, Debug)]
pub struct Watch {
    /// The KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
}

/// Runs the verb. Without a terminal it ends with the run, and fails if the run failed.
///
/// # Errors
/// Nothing can be read; and [`Error::Said`] after a run that failed.
pub fn run(cluster: &Cluster, Watch { name }: &Watch) -> Result<(), Error> {
    cluster::block_on(async {
        let connection = cluster::connect(cluster).await?;
        // What cannot be read at all is an error, and no empty screen.
        let kanary = kanaries::get(&connection, name).await?.readable()?.clone();
        let changes = feed::changes(&connection, &kanary);
        if !std::io::stdout().is_terminal() {
            return lines::follow(changes, State::new(kanary)).await;
        }
        let state = screen::show(changes, State::new(kanary)).await?;
        let (name, message) = (state.kanary.name(), state.message());
        output::print(&format!("{name}: {}{message}\n", state.word()))
    })
}

/// Did the run fail, as far as it is seen?
#[must_use]
pub fn has_failed(state: &State) -> bool {
    state.kanary.status.as_ref().and_then(|status| status.phase) == Some(Phase::Failed)
}
