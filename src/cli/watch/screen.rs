//! A watch on a terminal: takes the screen, redraws on each update, and always restores the screen.

use std::{sync::Arc, thread, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    feed,
    state::{State, Update},
    view,
};
use crate::{
    cli::{Error, approve, connection::Connection},
    objects::Object,
};

/// How often the progress bar is redrawn.
const SECOND: Duration = Duration::from_secs(1);

/// Gives the terminal back, also if the watch is dropped because its time is over.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Draws until the user quits; the last state.
///
/// # Errors
/// The terminal cannot be used.
pub async fn show(
    updates: BoxStream<'static, Update>,
    mut state: State,
    connection: Arc<Connection>,
) -> Result<State, Error> {
    let (send, receive) = unbounded_channel();
    listen_to_keys(send.clone());
    let mut updates = feed::with(updates, received(receive));
    let mut terminal = ratatui::try_init().map_err(Error::Output)?;
    let _restore = Restore;
    loop {
        terminal.draw(|frame| view::draw(frame, &state, Timestamp::now())).map_err(Error::Output)?;
        let goes_on = updates.next().await.is_some_and(|update| state.apply(update));
        if !goes_on {
            return Ok(state);
        }
        if let Some(verdict) = state.verdict.take() {
            state.notice = Some("sending …".into());
            let (connection, name, send) = (connection.clone(), state.kanary.name().to_owned(), send.clone());
            tokio::spawn(async move {
                let result = approve::send(&connection, &name, verdict, None, false).await;
                let result = result.map_or_else(|error| format!("error: {error}"), first_line);
                // Nobody receives it after the end.
                drop(send.send(Update::Sent(result)));
            });
        }
    }
}

fn first_line(text: String) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn received(receive: UnboundedReceiver<Update>) -> BoxStream<'static, Update> {
    futures::stream::unfold(receive, |mut receive| async { receive.recv().await.map(|update| (update, receive)) })
        .boxed()
}

/// Keys and seconds. Reading a terminal blocks, so this takes a thread of its own; it ends with the program.
fn listen_to_keys(send: UnboundedSender<Update>) {
    thread::spawn(move || while listen(&send) {});
}

fn listen(send: &UnboundedSender<Update>) -> bool {
    let update = match event::poll(SECOND) {
        Ok(false) => Update::Tick,
        Ok(true) => match event::read() {
            Ok(Event::Key(key)) => of_key(key),
            // A resized terminal is redrawn.
            Ok(_) => Update::Tick,
            Err(_) => Update::Quit,
        },
        Err(_) => Update::Quit,
    };
    send.send(update).is_ok()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other key means anything")]
fn of_key(KeyEvent { code, modifiers, .. }: KeyEvent) -> Update {
    match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Update::Quit,
        KeyCode::Char(key) => Update::Key(key),
        // Leaves a question without an answer; without one, the watch.
        KeyCode::Esc => Update::Key('\u{1b}'),
        _ => Update::Tick,
    }
}
