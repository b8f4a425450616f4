//! A watch on a terminal: takes the screen, draws on each change, and gives the screen back, whatever happens.

use std::{thread, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{State, feed, state::Change, view};
use crate::cli::Error;

/// The bar moves that often.
const SECOND: Duration = Duration::from_secs(1);

/// Draws until somebody leaves; what was seen last.
///
/// # Errors
/// The terminal cannot be used.
pub async fn show(changes: BoxStream<'static, Change>, mut state: State) -> Result<State, Error> {
    let mut changes = feed::with(changes, keys());
    let mut terminal = ratatui::try_init().map_err(Error::Output)?;
    let done = async {
        loop {
            terminal.draw(|frame| view::draw(frame, &state, Timestamp::now())).map_err(Error::Output)?;
            let stays = changes.next().await.is_some_and(|change| state.take(change));
            if !stays {
                return Ok(());
            }
        }
    }
    .await;
    ratatui::restore();
    done.map(|()| state)
}

/// Keys and seconds. A thread of its own, for a terminal is read by waiting; it ends with the program.
fn keys() -> BoxStream<'static, Change> {
    let (send, receive) = unbounded_channel();
    thread::spawn(move || while listen(&send) {});
    futures::stream::unfold(receive, |mut receive| async { receive.recv().await.map(|change| (change, receive)) })
        .boxed()
}

fn listen(send: &UnboundedSender<Change>) -> bool {
    let change = match event::poll(SECOND) {
        Ok(false) => Change::Tick,
        Ok(true) => match event::read() {
            Ok(Event::Key(key)) if leaves(key) => Change::Quit,
            // Another size is a reason to draw.
            Ok(_) => Change::Tick,
            Err(_) => Change::Quit,
        },
        Err(_) => Change::Quit,
    };
    send.send(change).is_ok()
}

fn leaves(key: KeyEvent) -> bool {
    let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}
