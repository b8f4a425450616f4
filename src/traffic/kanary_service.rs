//! The kanary service: the production Service's ports, the canary's pods.

use serde_json::{Value, json};

use crate::{
    api::names,
    canary,
    decision::owned,
    decision::{Action, Kind, Observed, Patch, Target},
    objects::{Labels, Object, Service, ServiceSpec},
};

/// Creates or updates the kanary service, if one is requested. Nothing, if it is as it should be.
#[must_use]
pub fn ensure(seen: &Observed) -> Option<Action> {
    let name = wanted_name(seen)?;
    // A Service without ports cannot be created.
    let production = seen.service().filter(|service| !service.spec.ports.is_empty())?;
    let target = Target { kind: Kind::Service, name };
    match seen.own_services().find(|service| service.name() == target.name) {
        None => Some(Action::Create { object: desired(seen, &target.name, production), target }),
        Some(own) if has_another_primary_family(own, production) => owned::delete(Kind::Service, own),
        Some(own) if !own.is_terminating() && differs(seen, own, production) => {
            let patch = update(seen, own, production);
            Some(Action::Patch { target, patch })
        }
        Some(_) => None,
    }
}

/// Removes those of our Services that are not requested. One that a route still points to goes later.
#[must_use]
pub fn remove_strays(seen: &Observed, is_in_use: impl Fn(&str) -> bool) -> Vec<Action> {
    let wanted = wanted_name(seen);
    let strays = seen.own_services().filter(|service| Some(service.name()) != wanted.as_deref());
    strays
        .filter(|service| !is_in_use(service.name()))
        .filter_map(|service| owned::delete(Kind::Service, service))
        .collect()
}

/// Does it exist, with the ports that production has now?
#[must_use]
pub fn is_current(seen: &Observed) -> bool {
    let Some(name) = wanted_name(seen) else { return true };
    let own = seen.own_services().find(|service| service.name() == name);
    own.zip(seen.service()).is_some_and(|(own, production)| !own.is_terminating() && !differs(seen, own, production))
}

/// Is there a ready pod behind a current kanary service? If not, mirrored requests would go nowhere.
#[must_use]
pub fn can_receive(seen: &Observed) -> bool {
    is_current(seen) && seen.live_pods().any(|pod| pod.status.ready && canary::is_own(seen, pod))
}

/// The names that our Service has, had or gets: an entry of a route that points to any of them is ours. An entry that
/// points to another client's Service of that name is theirs, unless the routes had ours already.
#[must_use]
pub fn names_of_ours(seen: &Observed) -> Vec<String> {
    let made = seen.own_services().map(|service| service.name().to_owned());
    let had_entries = seen.canary_status().is_some_and(|canary| !canary.routes.is_empty());
    let is_free = |name: &String| had_entries || seen.service_named(name).is_none_or(|service| seen.is_ours(service));
    let recorded = seen.canary_status().and_then(|canary| canary.service.clone());
    made.chain(recorded.into_iter().chain([names::kanary_service(&seen.kanary)]).filter(is_free)).collect()
}

fn wanted_name(seen: &Observed) -> Option<String> {
    seen.kanary.spec.traffic.source.has_kanary_service().then(|| names::kanary_service(&seen.kanary))
}

fn selector(seen: &Observed) -> Labels {
    Labels::from([(names::CANARY_LABEL.into(), owned::mark(&seen.kanary))])
}

fn desired(seen: &Observed, name: &str, production: &Service) -> Value {
    json!({
        "apiVersion": Kind::Service.api_version(),
        "kind": Kind::Service.as_str(),
        "metadata": owned::metadata(&seen.kanary, name, selector(seen), Labels::new()),
        "spec": spec(seen, production),
    })
}

fn spec(seen: &Observed, production: &Service) -> ServiceSpec {
    let ServiceSpec { ports, ip_families, ip_family_policy, .. } = production.spec.clone();
    let type_ = Some("ClusterIP".into());
    ServiceSpec { type_, selector: selector(seen), ports, ip_families, ip_family_policy, ..ServiceSpec::default() }
}

fn differs(seen: &Observed, own: &Service, production: &Service) -> bool {
    if !own.is_owned_by(seen.kanary.uid()) {
        return true;
    }
    let (own, wanted) = (&own.spec, spec(seen, production));
    // With PreferDualStack it may get a family more than production has, which was created before.
    let takes_more = wanted.ip_family_policy.as_deref() == Some("PreferDualStack");
    let families_differ = !wanted.ip_families.is_empty()
        && own.ip_families != wanted.ip_families
        && !(takes_more && own.ip_families.starts_with(&wanted.ip_families));
    own.type_ != wanted.type_ || own.selector != wanted.selector || own.ports != wanted.ports || families_differ
}

/// The first IP family of a Service is immutable.
fn has_another_primary_family(own: &Service, production: &Service) -> bool {
    let families = own.spec.ip_families.first().zip(production.spec.ip_families.first());
    families.is_some_and(|(own, production)| own != production)
}

/// A merge patch replaces lists whole; keys of the selector that are not ours are set to null.
fn update(seen: &Observed, own: &Service, production: &Service) -> Patch {
    let mut spec = json!(spec(seen, production));
    for key in own.spec.selector.keys().filter(|key| *key != names::CANARY_LABEL) {
        spec["selector"][key] = Value::Null;
    }
    let mut metadata = json!({"resourceVersion": own.version()});
    if let Some(references) = owned::restored_references(&seen.kanary, own) {
        metadata["ownerReferences"] = references;
    }
    Patch::Merge(json!({"metadata": metadata, "spec": spec}))
}
