//! A VirtualService of our own: where nobody routes what goes to the production Service, there is nothing to splice into.
//!
//! It gives way as soon as somebody else does. Several canaries of one Service share the one that was made first.

use serde_json::{Value, json};

use super::{Mirror, carrier::Carrier, istio};
use crate::{
    api::{Provider, names},
    decision::owned,
    decision::{Action, Kind, Observed, Target},
    objects::{Labels, Object, VirtualService},
};

/// Is one wanted: does no VirtualService lead to the production Service, or rule over its host?
pub fn is_wanted(mirror: &Mirror) -> bool {
    let settings = &mirror.settings;
    let asked = mirror.is_asked && settings.provider == Provider::Istio && settings.virtual_service.is_none();
    let carriers = &mirror.carriers;
    asked && !carriers.iter().any(|other| goes_before(mirror.seen, other)) && super::host_is_free(mirror.seen)
}

/// Does another VirtualService that leads to the production Service go before ours?
fn goes_before(seen: &Observed, other: &Carrier) -> bool {
    if other.is_own || !other.rules.iter().any(|rule| rule.wanted.is_some()) {
        return false;
    }
    let theirs = seen
        .routes
        .virtual_services
        .iter()
        .find(|route| route.name() == other.target.name && route.namespace() == other.namespace);
    let made_by_kanary = theirs.is_some_and(is_kanarys);
    let is_older = || theirs.zip(seen.own_virtual_services().next()).is_none_or(|(a, b)| age(a) < age(b));
    !made_by_kanary || is_older()
}

/// Did a `KanaryDeployment`, this or another, make it?
pub fn is_kanarys(route: &VirtualService) -> bool {
    route.label(names::CANARY_LABEL).is_some()
}

fn age(route: &VirtualService) -> (Option<jiff::Timestamp>, &str) {
    (route.metadata.creation_timestamp.as_ref().map(|time| time.0), route.name())
}

/// Makes it if it `may`, or removes one that is not wanted any more or does not serve. The mirror in it is spliced as anywhere.
pub fn upkeep(mirror: &Mirror, may_make: bool) -> Vec<Action> {
    let seen = mirror.seen;
    let name = names::virtual_service(&seen.kanary);
    let wanted = is_wanted(mirror);
    let serves =
        |route: &VirtualService| wanted && route.name() == name && has_host(seen, route) && leads(mirror, route);
    let superfluous = seen.own_virtual_services().filter(|route| !serves(route));
    let removals: Vec<Action> = superfluous.filter_map(|route| owned::delete(Kind::VirtualService, route)).collect();
    let is_there = seen.own_virtual_services().next().is_some();
    let target = Target { kind: Kind::VirtualService, name };
    let creation = (wanted && may_make && !is_there).then(|| Action::Create { object: desired(seen), target });
    removals.into_iter().chain(creation).collect()
}

fn has_host(seen: &Observed, route: &VirtualService) -> bool {
    route.spec["hosts"] == json!([seen.kanary.spec.service_name])
}

fn leads(mirror: &Mirror, route: &VirtualService) -> bool {
    let of_it = |carrier: &&Carrier| carrier.is_own && carrier.target.name == route.name();
    route.is_terminating()
        || mirror
            .carriers
            .iter()
            .find(of_it)
            .is_some_and(|carrier| carrier.rules.iter().any(|rule| rule.wanted.is_some()))
}

fn desired(seen: &Observed) -> Value {
    let service = &seen.kanary.spec.service_name;
    let labels = Labels::from([(names::CANARY_LABEL.into(), owned::mark(&seen.kanary))]);
    json!({
        "apiVersion": Kind::VirtualService.api_version(),
        "kind": Kind::VirtualService.as_str(),
        "metadata": owned::metadata(&seen.kanary, &names::virtual_service(&seen.kanary), labels, Labels::new()),
        "spec": {
            "hosts": [service],
            "http": [{
                "name": "all",
                "route": [{"destination": {"host": service}}],
                "mirrors": [istio::entry(seen, None)],
            }],
        },
    })
}

/// Removes those that we made, whatever they are.
pub fn remove(seen: &Observed) -> impl Iterator<Item = Action> {
    seen.own_virtual_services().filter_map(|route| owned::delete(Kind::VirtualService, route))
}
