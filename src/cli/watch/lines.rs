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
        if let Some(line) = event_line(&change) {
            output::print(&line)?;
        }
        state.take(change);
    }
}

fn event_line(change: &Change) -> Option<String> {
    match change {
        Change::Event(_, event) => {
            let at = event.at.map(clock::moment).unwrap_or_default();
            Some(format!("{at}  event {}: {}\n", event.reason, event.note))
        }
        Change::Trouble(trouble) => Some(format!("{}  cannot read: {trouble}\n", clock::moment(Timestamp::now()))),
        Change::Kanary(_) | Change::KanaryGone | Change::Pod(_) | Change::PodGone(_) | Change::Quit | Change::Tick => {
            None
        }
    }
}
