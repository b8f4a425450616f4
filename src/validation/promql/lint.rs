//! What is wrong with an item before any query is sent. Nothing is created meanwhile.

use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;

use super::identity::{names_of, values};
use crate::{
    api::{Explanation, Item, ItemKind, PromQl, Prometheus, Reason},
    decision::Observed,
    promql::{
        syntax::{self, Candidate, Remark},
        template,
    },
};

/// The first of all items.
#[must_use]
pub fn lint(seen: &Observed) -> Option<Explanation> {
    let items = seen.kanary.spec.validation.named_items();
    queries(&items).find_map(|(name, item)| Some(against(seen, item)?.prefixed(&format!("{name}: "))))
}

/// What a user should know of queries that are not refused.
#[must_use]
pub fn remarks(seen: &Observed) -> Vec<Explanation> {
    let items = seen.kanary.spec.validation.named_items();
    let remark = |(name, item): (&str, &PromQl)| {
        let remark = check(seen, item).ok()??;
        let reason = match remark {
            Remark::NotChecked { .. } => Reason::QueryNotChecked,
            Remark::Constant | Remark::Drops | Remark::Base | Remark::Doubtful { .. } => Reason::QueryDoubtful,
        };
        Some(Explanation { reason, message: format!("spec.validation.items: {name}: query: {remark}") })
    };
    queries(&items).filter_map(remark).collect()
}

fn queries<'a>(items: &'a [(String, &'a Item)]) -> impl Iterator<Item = (&'a str, &'a PromQl)> {
    items.iter().filter_map(|(name, item)| match item.kind() {
        ItemKind::PromQl(item) => Some((name.as_str(), item)),
        ItemKind::Manual(_) | ItemKind::LabelWatch(_) => None,
    })
}

/// Is the query one that can be sent, and that decides something?
fn check(seen: &Observed, item: &PromQl) -> Result<Option<Remark>, String> {
    let values = values(seen, seen.now.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(Timestamp::MIN));
    // Pods come and go; what is wrong with a query does not depend on them.
    let values = template::Values { pods: [format!("{}-7d9f8c6b5d-x2x4z", values.canary)].into(), ..values };
    let query = template::render(&item.query, &values).map_err(|fault| fault.to_string())?;
    let is_boolean = item.value_in_range.is_none()
        && item.continuous_value_deviation.is_none()
        && item.discrete_value_out_of_list.is_none();
    let render = |text: &str| template::render_once(text, &values).ok();
    let candidate = Candidate { template: &item.query, query: &query, is_boolean, names: names_of(&values) };
    syntax::check(candidate, &render).map_err(|fault| fault.to_string())
}

/// What is wrong with one item; the message begins with the field.
#[must_use]
pub fn against(seen: &Observed, item: &PromQl) -> Option<Explanation> {
    let object = |reason, field: &str, why: String| Some(Explanation { reason, message: format!("{field}: {why}") });
    if let Err(why) = check(seen, item) {
        return object(Reason::BadQuery, "query", why);
    }
    let at = item.prometheus.as_ref();
    if let Err(refused) = seen.prometheus.url(at.and_then(|at| at.url.as_deref())) {
        return object(Reason::BadPrometheus, "prometheus.url", refused.to_string());
    }
    at.and_then(bad_header).and_then(|why| object(Reason::BadPrometheus, "prometheus.headers", why))
}

/// Headers that say where a request goes, how long it is, or which client sends it, are set by the controller: two of a
/// kind could make a proxy see another request than the server.
fn bad_header(at: &Prometheus) -> Option<String> {
    at.headers.iter().find_map(|(name, value)| {
        let Ok(parsed) = name.parse::<HeaderName>() else {
            return Some(format!("{name:?} is not a valid header name"));
        };
        let sendable = HeaderValue::from_str(value).is_ok();
        match () {
            () if parsed == header::AUTHORIZATION || parsed == header::COOKIE => Some(format!(
                "everyone who can read this object would see {name}; use bearerTokenSecretRef or basicAuthSecretRef"
            )),
            () if is_reserved(&parsed) => Some(format!("{name} is set by the controller; remove it")),
            () if !sendable => {
                Some(format!("the value of {name} contains characters that are not allowed in a header"))
            }
            () => None,
        }
    })
}

fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [HeaderName; 13] = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::ACCEPT_ENCODING,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::CONNECTION,
        header::UPGRADE,
        header::EXPECT,
        header::USER_AGENT,
        header::RANGE,
    ];
    RESERVED.contains(name) || name.as_str().starts_with("proxy-") || name.as_str() == "keep-alive"
}
