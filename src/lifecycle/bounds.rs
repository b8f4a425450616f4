//! A status that is too large for etcd cannot be made: each text of it is bounded, and so is each list.
//!
//! Sixteen items with their queries, ten conditions and the routes stay below 64 KB.

use crate::api::{Condition, KanaryDeploymentStatus, Reason, text};

/// The most routes that are named.
const MOST_ROUTES: usize = 24;

/// The most bytes of a value, and of the name of a route.
const SHORT: usize = 200;

/// Bounds what comes from outside: messages, reasons, columns, values, queries and names.
pub(super) fn fit(status: &mut KanaryDeploymentStatus) {
    status.message.iter_mut().for_each(text::bound);
    status.conditions.iter_mut().for_each(fit_condition);
    if let Some(report) = &mut status.report {
        let columns = [&mut report.status, &mut report.scale, &mut report.traffic, &mut report.validation];
        columns.into_iter().for_each(|column| text::bound_to(column, SHORT));
    }
    for item in &mut status.items {
        [&mut item.message, &mut item.query].into_iter().flatten().for_each(text::bound);
        [&mut item.value, &mut item.bound].into_iter().flatten().for_each(|text| text::bound_to(text, SHORT));
    }
    if let Some(canary) = &mut status.canary {
        canary.routes.truncate(MOST_ROUTES);
        canary.routes.iter_mut().for_each(|route| text::bound_to(route, SHORT));
    }
}

/// The API requires a word as the reason; what is none goes into the message.
fn fit_condition(condition: &mut Condition) {
    if Reason::of_others(condition.reason.as_str()).is_none() {
        condition.message = format!("{}: {}", condition.reason, condition.message);
        condition.reason = Reason::Waiting;
    }
    text::bound(&mut condition.message);
}
