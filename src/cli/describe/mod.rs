//! `describe`: the whole story of a run, on one page.

pub mod items;
mod view;

use jiff::Timestamp;
pub use view::Page;

use super::{Cluster, Error, around, cluster, kanaries, output};

/// Tell the story of a run: times, verdicts with query, value and bound, pods, events.
#[derive(clap::Args, Debug)]
pub struct Describe {
    /// The KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
}

/// Runs the verb.
///
/// # Errors
/// Something cannot be read.
pub fn run(cluster: &Cluster, Describe { name }: &Describe) -> Result<(), Error> {
    cluster::block_on(async {
        let connection = cluster::connect(cluster).await?;
        let kanary = kanaries::get(&connection, name).await?.readable()?.clone();
        // Not everybody may list these, and the rest of the page is worth reading without.
        let (pods, events) = (around::pods(&connection, &kanary).await, around::events(&connection, &kanary).await);
        let (pods, events) = (pods.as_deref(), events.as_deref());
        output::print(&Page { kanary: &kanary, pods, events, now: Timestamp::now() }.text())
    })
}
