//! Copies of production's requests, through the routes of a mesh that point to the production Service.
//!
//! The routes are the user's. Ours is one entry in each: the one that points to the kanary service, whatever else it says.
//! `targets` says which rules should contain it, `entry` what it is in either kind of route, `obstacle` why they must not, `effect` why
//! it would copy nothing, `status` whether it is there. How it is put in and taken out, and what it has in common with other sources that write
//! into routes, is in `traffic::routes`.

mod effect;
mod entry;
mod gateway;
mod istio;
mod obstacle;
mod owned_route;
mod status;
mod targets;

use entry::MirrorRoute;
pub use obstacle::find as obstacle;
pub use owned_route::{is_name_taken, remove as remove_own_routes};
pub use status::{copies_writes, status};
pub use targets::Mirror;

use crate::{
    api::Explanation,
    decision::{Action, Lookup, Target},
    objects::Unavailable,
    traffic::{
        kanary_service,
        routes::{finalizer, listed, splice},
    },
};

/// While a run lasts: puts the mirror where it should be, if it `may_add` one, and removes it where it should not be, also
/// if the source is another by now.
pub fn ensure(mirror: &Mirror, may_add: bool) -> Vec<Action> {
    if !mirror.is_requested {
        return withdraw(mirror);
    }
    let adds = may_add && kanary_service::can_receive(mirror.seen);
    let home = || mirror.routes.iter().filter(|route| mirror.is_home(route));
    let patches: Vec<(bool, Action)> =
        home().filter_map(|route| Some((route.is_ours, patch(mirror, route, adds)?))).collect();
    if !finalizer::is_held(&mirror.seen.kanary) && patches.iter().any(|(is_ours, _)| !is_ours) {
        return vec![finalizer::hold(mirror.seen)];
    }
    let mut actions: Vec<Action> = patches.into_iter().map(|(_, patch)| patch).collect();
    let own = owned_route::ensure(mirror, adds);
    // What is deleted is not patched as well.
    actions.retain(|action| own.iter().all(|other| other.target() != action.target()));
    actions.extend(own);
    actions
}

/// Step by step: the entries, then a VirtualService of our own, then the finalizer.
fn withdraw(mirror: &Mirror) -> Vec<Action> {
    let cleared = clear(mirror);
    if !cleared.is_empty() {
        return cleared;
    }
    let removed = remove_own_routes(mirror.seen);
    if removed.is_empty() { release(mirror) } else { removed }
}

/// Makes each rule of an object contain our entry, or not.
fn patch(mirror: &Mirror, route: &MirrorRoute, adds: bool) -> Option<Action> {
    let is_selected = mirror.selects_object(route);
    let mut changes = Vec::new();
    for rule in &route.rules {
        changes.extend(match &rule.desired {
            Some(desired) if is_selected && mirror.selects_rule(rule) => rule.list.put(&desired.entry, adds),
            Some(_) | None => rule.list.take(),
        });
    }
    splice::patch(route.object, changes)
}

/// Removes our entries from the routes of others. A VirtualService of our own is removed with the other children.
pub fn clear(mirror: &Mirror) -> Vec<Action> {
    let theirs = mirror.routes.iter().filter(|route| mirror.is_home(route) && !route.is_ours);
    theirs.filter_map(|route| splice::patch(route.object, route.take())).collect()
}

/// Removes our entries from the routes of others; once it is certain that there are none, releases the finalizer.
pub fn release(mirror: &Mirror) -> Vec<Action> {
    let cleared = clear(mirror);
    let is_done = finalizer::is_held(&mirror.seen.kanary) && listed::is_verified(mirror.seen, mirror.settings.provider);
    if cleared.is_empty() && is_done { vec![finalizer::release(mirror.seen)] } else { cleared }
}

/// Is there neither an entry of ours in a route of others, nor a VirtualService of our own, nor the finalizer?
pub fn is_gone(mirror: &Mirror) -> bool {
    let seen = mirror.seen;
    seen.routes.virtual_services.unavailable() != Some(Unavailable::Loading)
        && !finalizer::is_held(&seen.kanary)
        && seen.own_virtual_services().next().is_none()
        && clear(mirror).is_empty()
}

/// Why it is not known whether our entry is out of all routes, if the finalizer waits for that and a user must act.
pub fn blocked(mirror: &Mirror) -> Option<Explanation> {
    if !finalizer::is_held(&mirror.seen.kanary) || listed::is_known(mirror.seen, mirror.settings.provider) {
        return None;
    }
    let why = obstacle::unknown_reason(mirror)?;
    if why.reason.is_awaited() { None } else { Some(why.prefixed("cannot remove the mirror from the routes: ")) }
}

/// Does any route still mirror requests to this Service of ours?
pub fn uses(mirror: &Mirror, service: &str) -> bool {
    mirror.routes.iter().any(|route| route.uses(service))
}

/// The objects that contain our entry, as the status names them.
pub fn routes_with_entry(mirror: &Mirror) -> Vec<String> {
    mirror.routes.iter().filter(|route| route.has_entry()).map(|route| route.object.id()).collect()
}

/// The lists in routes of others that should contain our entry: the object, and a JSON pointer.
pub fn lists(mirror: &Mirror) -> Vec<(Target, String)> {
    let theirs = mirror.targets().filter(|(route, _)| !route.is_ours);
    theirs.map(|(route, rule)| (route.object.target(), rule.list.pointer.clone())).collect()
}

/// Before the finalizer is released, the routes are read from the API server: what was written with a lost answer may not
/// be in the store yet.
pub fn lookup(mirror: &Mirror) -> Option<Lookup> {
    let seen = mirror.seen;
    let is_due = finalizer::is_held(&seen.kanary)
        && !seen.routes.is_fresh
        && listed::is_known(seen, mirror.settings.provider)
        && clear(mirror).is_empty();
    if is_due { Some(Lookup::ReadRoutes) } else { None }
}
