//! A watch without a terminal: a line for each change of phase or message, and for each event.

use futures::{Stream, StreamExt};
use jiff::Timestamp;

use super::state::{State, Update, Watched};
use crate::cli::{Error, clock, output, table::one_line};

/// Prints until the run is over.
///
/// # Errors
/// [`Error::Reported`] if it failed or was deleted.
pub async fn follow(mut updates: impl Stream<Item = Update> + Unpin, mut state: State) -> Result<(), Error> {
    let mut last = String::new();
    loop {
        let now = one_line(&format!("{}{}", state.word(), state.message()));
        if now != last {
            output::print(&format!("{}  {now}\n", clock::moment(Timestamp::now())))?;
            last = now;
        }
        if state.is_over() {
            return if state.is_deleted || state.has_failed() { Err(Error::Reported) } else { Ok(()) };
        }
        let Some(update) = updates.next().await else { return Ok(()) };
        if let Some(line) = line(&update, &state) {
            output::print(&line)?;
        }
        state.apply(update);
    }
}

/// Nothing is printed twice: a list that is read again contains every event once more.
fn line(update: &Update, state: &State) -> Option<String> {
    match update {
        Update::Event(name, event) => {
            if state.events.get(name) == Some(event) {
                return None;
            }
            let at = event.at.map(clock::moment).unwrap_or_default();
            Some(format!("{at}  event {}: {}\n", event.reason, one_line(&event.note)))
        }
        // No line is about the base.
        Update::Unreadable(Watched::Base, _, _) => None,
        Update::Unreadable(what, why, at) => {
            if state.unreadable.get(what).is_some_and(|(known, _)| known == why) {
                return None;
            }
            Some(format!("{}  {}\n", clock::moment(*at), what.unreadable(why)))
        }
        Update::Kanary(_)
        | Update::KanaryDeleted
        | Update::Pod(_)
        | Update::PodDeleted(_)
        | Update::Readable(_)
        | Update::Base(_)
        | Update::Key(_)
        | Update::Sent(_)
        | Update::Quit
        | Update::Tick => None,
    }
}
