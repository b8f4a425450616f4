//! A watch without a terminal: a line for each change of phase or message, and for each event.

use futures::{Stream, StreamExt};
use jiff::Timestamp;

use super::{State, has_failed, state::Change};
use crate::cli::{Error, clock, output};

/// Follows until the run is over.
///
/// # Errors
/// [`Error::Said`] if it failed, or is gone.
pub async fn follow(mut changes: impl Stream<Item = Change> + Unpin, mut state: State) -> Result<(), Error> {
    let mut last = String::new();
    loop {
        let now = format!("{}{}", state.word(), state.message());
        if now != last {
            output::print(&format!("{}  {now}\n", clock::moment(Timestamp::now())))?;
            last = now;
        }
        if state.is_over() {
            return if state.gone || has_failed(&state) { Err(Error::Said) } else { Ok(()) };
        }
        let Some(change) = changes.next().await else { return Ok(()) };
        if let Some(line) = event_line(&change, &state) {
            output::print(&line)?;
        }
        state.take(change);
    }
}

/// What is known already is not said again: a list that is read anew tells of every event once more.
fn event_line(change: &Change, state: &State) -> Option<String> {
    match change {
        Change::Event(name, event) => {
            let at = event.at.map(clock::moment).unwrap_or_default();
            let is_news = state.events.get(name) != Some(event);
            is_news.then(|| format!("{at}  event {}: {}\n", event.reason, event.note))
        }
        Change::Trouble(what, why, at) => {
            let is_news = state.trouble.get(what).is_none_or(|(known, _)| known != why);
            is_news.then(|| format!("{}  {}\n", clock::moment(*at), what.unreadable(why)))
        }
        Change::Kanary(_)
        | Change::KanaryGone
        | Change::Pod(_)
        | Change::PodGone(_)
        | Change::Well(_)
        | Change::Quit
        | Change::Tick => None,
    }
}
