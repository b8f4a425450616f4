//! Do the requests that a mirror copies arrive at the canary? With `confirm: requests` Prometheus is queried for it before
//! the clock starts.
//!
//! Pure. Not here: when the query is sent (`lifecycle`), and what follows from the result (`traffic::mirror`).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::identity::{names_of, pods, query_id, values};
use crate::{
    api::{KanaryDeploymentStatus, PromQl, Prometheus},
    decision::Observed,
    promql::{
        Outcome, Query, library,
        syntax::{self, Candidate},
        template::{self, Values},
    },
};

/// The history of the query is kept under this name, which no item can have.
pub const NAME: &str = "traffic.mirror";

/// Between two queries.
const EVERY: SignedDuration = SignedDuration::from_secs(5);

/// What was counted of the mirrored requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copies {
    /// When.
    pub at: Timestamp,
    /// Did any arrive at the canary; or why that is not known.
    pub arrived: Result<bool, String>,
}

/// The last result in this run, if there is one.
#[must_use]
pub fn counted(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Copies> {
    let query = text(seen)?;
    let evaluation =
        seen.answers.get(NAME)?.last.as_ref().filter(|evaluation| evaluation.hash == query_id(&query, status))?;
    let arrived = match &evaluation.outcome {
        Outcome::True(_) => Ok(true),
        Outcome::False(_) => Ok(false),
        Outcome::Unknown(why) => Err(why.clone()),
    };
    Some(Copies { at: evaluation.at, arrived })
}

/// Why the query cannot be sent.
#[must_use]
pub fn obstacle(seen: &Observed) -> Option<String> {
    seen.prometheus.url(server(seen).and_then(|server| server.url.as_deref())).err().map(|why| why.to_string())
}

/// When the query is due next; nothing while it is under way, or if it cannot be sent.
#[must_use]
pub fn due(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Timestamp> {
    if seen.answers.get(NAME).is_some_and(|history| history.pending.is_some()) || obstacle(seen).is_some() {
        return None;
    }
    counted(seen, status).map_or(Some(seen.now), |copies| copies.at.saturating_add(EVERY).ok())
}

/// The query, unless it is under way.
#[must_use]
pub fn query(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Query> {
    let due = due(seen, status)?;
    let server = server(seen).cloned();
    let url = seen.prometheus.url(server.as_ref().and_then(|server| server.url.as_deref())).ok()?.to_owned();
    let query = text(seen)?;
    Some(Query {
        item: NAME.into(),
        hash: query_id(&query, status),
        url,
        prom_ql: PromQl { prometheus: server, query: query.clone(), ..PromQl::default() },
        query,
        pods: pods(seen),
        held: SignedDuration::ZERO,
        due,
    })
}

/// What is wrong with a query that replaces the one that is compiled in.
///
/// # Errors
/// One sentence.
pub fn check(query: &str) -> Result<(), String> {
    let names = Values {
        kanary: "kanary".into(),
        namespace: "namespace".into(),
        deployment: "base".into(),
        canary: "canary".into(),
        service: Some("service".into()),
        kanary_service: "service".into(),
        pods: BTreeSet::new(),
        period: "1m".into(),
        elapsed: "1m".into(),
    };
    let rendered = template::render(query, &names).map_err(|fault| fault.to_string())?;
    let render = |text: &str| template::render_once(text, &names).ok();
    let candidate = Candidate { template: query, query: &rendered, is_boolean: true, names: names_of(&names) };
    syntax::check(candidate, &render).map(drop).map_err(|fault| fault.to_string())
}

fn text(seen: &Observed) -> Option<String> {
    let text = seen.prometheus.copies_query.as_deref().unwrap_or(library::ISTIO_COPIES);
    template::render(text, &values(seen, seen.now)).ok()
}

/// The Prometheus of the first item that names one, because it evaluates this canary. Else the controller's.
fn server(seen: &Observed) -> Option<&Prometheus> {
    let items = seen.kanary.spec.validation.items.iter();
    items.filter_map(|item| item.prom_ql.as_ref()?.prometheus.as_ref()).find(|server| server.url.is_some())
}
