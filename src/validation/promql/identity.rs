//! Which query an item sends, with which values, and when another one takes its place.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    api::{KanaryDeploymentStatus, PromQl, duration, names},
    canary,
    decision::Observed,
    hash,
    objects::Object,
    promql::{
        lookback::lookback,
        syntax::Names,
        template::{self, Values},
    },
};

/// Says which query an item sends. Pods come and go, and time passes, without making it another one.
#[must_use]
pub fn identity(seen: &Observed, item: &PromQl) -> String {
    hash::of(&json!([item, timeless(seen, item)]))
}

/// The query without what changes by itself.
fn timeless(seen: &Observed, item: &PromQl) -> String {
    let timeless = Values { pods: BTreeSet::new(), elapsed: String::new(), ..values(seen, Timestamp::MIN) };
    template::render_memoized(&item.query, &timeless).unwrap_or_default()
}

/// How far the query looks back at times when this run's canary was not there yet. One that names the canary's pods cannot see
/// those of another run, and one that looks back by `validation.elapsed` looks back at this run only.
pub(super) fn lookback_before_run(seen: &Observed, item: &PromQl) -> SignedDuration {
    if item.query.contains("canary.pods") { SignedDuration::ZERO } else { lookback(&timeless(seen, item)) }
}

/// The values of the variables.
pub(super) fn values(seen: &Observed, since: Timestamp) -> Values {
    let kanary = &seen.kanary;
    let elapsed = SignedDuration::from_secs(since.duration_until(seen.now).as_secs().max(1));
    Values {
        kanary: kanary.name().to_owned(),
        namespace: kanary.namespace().to_owned(),
        deployment: names::base(kanary),
        canary: names::canary(kanary),
        service: kanary.spec.service_name.clone(),
        kanary_service: names::kanary_service(kanary),
        pods: pods(seen),
        period: duration::print(kanary.spec.validation.validation_period),
        elapsed: duration::print(elapsed),
    }
}

/// What the Deployments are called that a query is about.
pub(super) fn names_of(values: &Values) -> Names<'_> {
    Names { base: &values.deployment, canary: &values.canary }
}

/// The pods that are evaluated. Those of a former template may still end when the ones of a new run are ready.
pub(super) fn pods(seen: &Observed) -> BTreeSet<String> {
    seen.live_pods().filter(|pod| canary::is_own(seen, pod)).map(|pod| pod.name().to_owned()).collect()
}

/// Names the query of this very validation: a result for another run, or for an edited item, does not count.
#[must_use]
pub fn query_id(identity: &str, status: &KanaryDeploymentStatus) -> String {
    hash::of(&json!([identity, status.run, status.evidence_since]))
}
