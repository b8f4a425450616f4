//! A VirtualService of our own: where no route points to the production Service, there is nothing to add an entry to.
//!
//! It gives way as soon as a user makes one. Several canaries of one Service share the one that was made first.

use serde_json::{Value, json};

use super::{istio, targets::Mirror};
use crate::{
    api::names,
    decision::owned,
    decision::{Action, Kind, Observed, Patch, Target},
    objects::{Labels, Object, VirtualService},
};

/// Creates it if it is needed and `may_create`, and removes one that is not needed any more or has no effect. The entry in
/// it is changed as in any other route.
pub fn ensure(mirror: &Mirror, may_create: bool) -> Vec<Action> {
    let seen = mirror.seen;
    let superfluous = seen.own_virtual_services().filter(|route| !serves(mirror, route));
    let mut actions: Vec<Action> = superfluous.filter_map(|route| owned::delete(Kind::VirtualService, route)).collect();
    actions.extend(
        seen.own_virtual_services().filter(|route| serves(mirror, route)).filter_map(|route| take_back(seen, route)),
    );
    if mirror.needs_own_route && may_create && seen.own_virtual_services().next().is_none() {
        let target = Target { kind: Kind::VirtualService, name: names::virtual_service(&seen.kanary) };
        actions.push(Action::Create { object: desired(seen), target });
    }
    actions
}

/// Restores our owner reference, if another client removed it.
fn take_back(seen: &Observed, route: &VirtualService) -> Option<Action> {
    let references = owned::restored_references(&seen.kanary, route).filter(|_| !route.is_terminating())?;
    let metadata = json!({"resourceVersion": route.version(), "ownerReferences": references});
    let target = Target { kind: Kind::VirtualService, name: route.name().to_owned() };
    Some(Action::Patch { target, patch: Patch::Merge(json!({"metadata": metadata})) })
}

fn serves(mirror: &Mirror, route: &VirtualService) -> bool {
    let seen = mirror.seen;
    mirror.needs_own_route
        && route.name() == names::virtual_service(&seen.kanary)
        && route.spec["hosts"] == json!([seen.kanary.spec.service_name])
        && (route.is_terminating() || points_to_production(mirror, route))
}

fn points_to_production(mirror: &Mirror, route: &VirtualService) -> bool {
    let own = mirror.routes.iter().find(|other| other.is_ours && other.object.name() == route.name());
    own.is_some_and(|own| own.points_to_production())
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

/// Is a VirtualService needed, but another client's has its name?
pub fn is_name_taken(mirror: &Mirror) -> bool {
    let (name, home) = (names::virtual_service(&mirror.seen.kanary), mirror.seen.kanary.namespace());
    let mut routes = mirror.seen.routes.virtual_services.iter();
    let named = routes.find(|route| route.namespace() == home && route.name() == name);
    mirror.needs_own_route && named.is_some_and(|route| !mirror.seen.is_ours(route))
}

/// Deletes those that this `KanaryDeployment` made, whether they are needed or not.
pub fn remove(seen: &Observed) -> Vec<Action> {
    seen.own_virtual_services().filter_map(|route| owned::delete(Kind::VirtualService, route)).collect()
}
