//! `describe`: everything about a run, on one page.

pub mod items;
mod view;

use jiff::Timestamp;
pub use view::Page;

use super::{Error, client, cluster_flags::ClusterFlags, connection, output, related};

/// Show everything about a run: times, verdicts with query, value and bound, pods, conditions, events.
#[derive(clap::Args, Debug)]
pub struct Describe {
    /// Name of the KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
}

/// Runs the verb.
///
/// # Errors
/// Something cannot be read.
pub fn run(flags: &ClusterFlags, Describe { name }: &Describe) -> Result<(), Error> {
    connection::block_on(async {
        let connection = connection::connect(flags).await?;
        let kanary = client::get(&connection, name).await?.readable()?.clone();
        // A user may be allowed to read the resource but not these; the rest of the page is still useful.
        let (pods, events) = (related::pods(&connection, &kanary).await, related::events(&connection, &kanary).await);
        let (pods, events) = (pods.as_deref(), events.as_deref());
        output::print(&Page { kanary: &kanary, pods, events, now: Timestamp::now() }.text())
    })
}
