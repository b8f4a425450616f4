//! The kanary service: the production Service's ports, the canary's pods.

use serde_json::{Value, json};

use crate::{
    api::names,
    decision::owned,
    decision::{Action, Kind, Observed, Patch, Target},
    objects::{Labels, Object, Service, ServiceSpec},
    traffic::mirror,
};

/// Creates or mends the kanary service, and removes one that is no longer asked for. Nothing, if all is as it should be.
#[must_use]
pub fn upkeep(seen: &Observed) -> Vec<Action> {
    wanted_name(seen).and_then(|name| ensure(seen, name)).into_iter().chain(remove_strays(seen)).collect()
}

/// Removes those of our Services that are not asked for.
#[must_use]
pub fn remove_strays(seen: &Observed) -> Vec<Action> {
    let wanted = wanted_name(seen);
    let strays = seen.own_services().filter(|service| Some(service.name()) != wanted.as_deref());
    // One that a route still sends copies to goes later.
    let idle = strays.filter(|service| !mirror::leads_to(seen, service.name()));
    idle.filter_map(|service| owned::delete(Kind::Service, service)).collect()
}

/// Is it there, with the ports that production has now?
#[must_use]
pub fn is_current(seen: &Observed) -> bool {
    let Some(name) = wanted_name(seen) else { return true };
    let own = seen.own_services().find(|service| service.name() == name);
    own.zip(seen.service()).is_some_and(|(own, production)| !own.is_terminating() && !differs(seen, own, production))
}

fn wanted_name(seen: &Observed) -> Option<String> {
    seen.kanary.spec.traffic.source.has_kanary_service().then(|| names::kanary_service(&seen.kanary))
}

fn ensure(seen: &Observed, name: String) -> Option<Action> {
    // Of a Service without ports there can be no copy.
    let production = seen.service().filter(|service| !service.spec.ports.is_empty())?;
    let target = Target { kind: Kind::Service, name };
    match seen.own_services().find(|service| service.name() == target.name) {
        None => Some(Action::Create { object: desired(seen, &target.name, production), target }),
        Some(own) if has_another_primary_family(own, production) => owned::delete(Kind::Service, own),
        Some(own) if !own.is_terminating() && differs(seen, own, production) => {
            let patch = mend(seen, own, production);
            Some(Action::Patch { target, patch })
        }
        Some(_) => None,
    }
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
    ServiceSpec { type_: Some("ClusterIP".into()), selector: selector(seen), ..production.spec.clone() }
}

fn differs(seen: &Observed, own: &Service, production: &Service) -> bool {
    let (own, wanted) = (&own.spec, spec(seen, production));
    // A policy that takes what the cluster has may get a family more than production has, which was made before.
    let takes_more = wanted.ip_family_policy.as_deref() == Some("PreferDualStack");
    let families_differ = !wanted.ip_families.is_empty()
        && own.ip_families != wanted.ip_families
        && !(takes_more && own.ip_families.starts_with(&wanted.ip_families));
    own.type_ != wanted.type_ || own.selector != wanted.selector || own.ports != wanted.ports || families_differ
}

/// The API server lets nobody change the first family of a Service.
fn has_another_primary_family(own: &Service, production: &Service) -> bool {
    let families = own.spec.ip_families.first().zip(production.spec.ip_families.first());
    families.is_some_and(|(own, production)| own != production)
}

/// A merge patch replaces lists whole; keys of the selector that are not ours are set to null.
fn mend(seen: &Observed, own: &Service, production: &Service) -> Patch {
    let mut spec = json!(spec(seen, production));
    for key in own.spec.selector.keys().filter(|key| *key != names::CANARY_LABEL) {
        spec["selector"][key] = Value::Null;
    }
    Patch::Merge(json!({"metadata": {"resourceVersion": own.version()}, "spec": spec}))
}
