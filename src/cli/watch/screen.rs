//! A watch on a terminal: takes the screen, redraws on each update, and always restores the screen.

use std::{thread, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{
    feed,
    state::{State, Update},
    view,
};
use crate::cli::Error;

/// How often the progress bar is redrawn.
const SECOND: Duration = Duration::from_secs(1);

/// Draws until the user quits; the last state.
///
/// # Errors
/// The terminal cannot be used.
pub async fn show(updates: BoxStream<'static, Update>, mut state: State) -> Result<State, Error> {
    let mut updates = feed::with(updates, keys());
    let mut terminal = ratatui::try_init().map_err(Error::Output)?;
    let done = async {
        loop {
            terminal.draw(|frame| view::draw(frame, &state, Timestamp::now())).map_err(Error::Output)?;
            let goes_on = updates.next().await.is_some_and(|update| state.apply(update));
            if !goes_on {
                return Ok(());
            }
        }
    }
    .await;
    ratatui::restore();
    done.map(|()| state)
}

/// Keys and seconds. Reading a terminal blocks, so this takes a thread of its own; it ends with the program.
fn keys() -> BoxStream<'static, Update> {
    let (send, receive) = unbounded_channel();
    thread::spawn(move || while listen(&send) {});
    futures::stream::unfold(receive, |mut receive| async { receive.recv().await.map(|update| (update, receive)) })
        .boxed()
}

fn listen(send: &UnboundedSender<Update>) -> bool {
    let update = match event::poll(SECOND) {
        Ok(false) => Update::Tick,
        Ok(true) => match event::read() {
            Ok(Event::Key(key)) if quits(key) => Update::Quit,
            // A resized terminal is redrawn.
            Ok(_) => Update::Tick,
            Err(_) => Update::Quit,
        },
        Err(_) => Update::Quit,
    };
    send.send(update).is_ok()
}

fn quits(key: KeyEvent) -> bool {
    let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}
