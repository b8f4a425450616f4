//! A status that is too large for etcd cannot be made: each text of it is bounded, and so is each list.
//!
//! Sixteen items with their queries, ten conditions and the routes stay below 64 KB.

use crate::api::{KanaryDeploymentStatus, text};

/// The most routes that are named.
const MOST_ROUTES: usize = 24;

/// The most bytes of a value, and of the name of a route.
const SHORT: usize = 200;

/// Bounds what comes from outside: messages, values, queries and names.
pub(super) fn fit(status: &mut KanaryDeploymentStatus) {
    status.message.iter_mut().for_each(text::bound);
    status.conditions.iter_mut().for_each(|condition| text::bound(&mut condition.message));
    for item in &mut status.items {
        [&mut item.message, &mut item.query].into_iter().flatten().for_each(text::bound);
        [&mut item.value, &mut item.bound].into_iter().flatten().for_each(|text| *text = text::clip(text, SHORT));
    }
    if let Some(canary) = &mut status.canary {
        canary.routes.truncate(MOST_ROUTES);
        canary.routes.iter_mut().for_each(|route| *route = text::clip(route, SHORT));
    }
}
