//! The state of a watch as it is shown: every text of others in it made visible, before anything is laid out.
//!
//! Not here: images, which `cli::images` makes visible; the template must stay as it is, because its hash names the run.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::state::State;
use crate::{
    api::KanaryDeployment,
    cli::{
        related::EventSummary,
        terminal::{self, inline},
    },
};

/// The same state, with nothing in it that a terminal would obey or hide.
#[must_use]
pub fn visible(state: &State) -> State {
    let event = |event: &EventSummary| EventSummary {
        kind: inline(&event.kind),
        reason: inline(&event.reason),
        note: text(&event.note),
        ..event.clone()
    };
    State {
        kanary: kanary(&state.kanary),
        pods: state.pods.iter().map(|(name, pod)| (name.clone(), object(pod))).collect(),
        events: state.events.iter().map(|(name, shown)| (name.clone(), event(shown))).collect(),
        values: state.values.iter().map(|(name, values)| (text(name), values.clone())).collect(),
        notice: state.notice.as_deref().map(text),
        unreadable: state.unreadable.iter().map(|(what, (why, at))| (*what, (text(why), *at))).collect(),
        ..state.clone()
    }
}

fn text(text: &str) -> String {
    terminal::visible(text).into_owned()
}

fn kanary(kanary: &KanaryDeployment) -> KanaryDeployment {
    let mut shown = kanary.clone();
    shown.status = kanary.status.as_ref().map(object);
    shown.spec.validation = object(&kanary.spec.validation);
    shown.spec.deployment_name = kanary.spec.deployment_name.as_deref().map(inline);
    shown
}

/// Text by text. An object that cannot be put together again stays as it is: the screen shows no character without width.
fn object<T: Clone + Serialize + DeserializeOwned>(object: &T) -> T {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if !show(&mut value) {
        return object.clone();
    }
    serde_json::from_value(value).unwrap_or_else(|_| object.clone())
}

/// Was there anything to make visible?
fn show(value: &mut Value) -> bool {
    match value {
        Value::String(text) if !terminal::is_visible(text) => {
            *text = terminal::visible(text).into_owned();
            true
        }
        Value::Array(items) => items.iter_mut().fold(false, |changed, item| show(item) | changed),
        Value::Object(map) => map.values_mut().fold(false, |changed, item| show(item) | changed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
