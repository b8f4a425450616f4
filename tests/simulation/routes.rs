//! Routes of a mesh: what people and their GitOps controllers write into VirtualServices, and the laws about what we do.

use std::{collections::BTreeMap, sync::Arc};

use kanary::{
    api::{KanaryDeployment, Phase, Source, names},
    decision::Observed,
    objects::Object,
};
use serde_json::{Value, json};

use crate::{
    checker::{Check, ensure},
    machinery::owners,
    person::{Hand, ME},
    rng::Rng,
    scene::SERVICE,
    server::{Actor, Change, Kind, Server},
};

/// The user's own VirtualService.
pub const ROUTE: &str = "shop";

pub fn virtual_service(rng: &mut Rng) -> Value {
    json!({"metadata": {"name": ROUTE}, "spec": {"hosts": ["web"], "http": http(rng), "exportTo": ["*"]}})
}

fn http(rng: &mut Rng) -> Value {
    let to = |host: &str| json!({"destination": {"host": host}});
    let mut routes = vec![json!({"name": "all", "route": [to(SERVICE)]})];
    if rng.percent(50) {
        routes.insert(0, json!({"name": "old", "match": [{"uri": {"prefix": "/old"}}], "route": [to("old")]}));
    }
    if rng.percent(50) {
        let full = to("web.shop.svc.cluster.local");
        routes.insert(0, json!({"name": "api", "route": [full], "retries": {"attempts": 2}, "mirrors": [to("audit")]}));
    }
    if rng.percent(10) {
        routes.push(json!({"name": "split", "route": [to(SERVICE), {"destination": {"host": "old"}, "weight": 10}]}));
    }
    if rng.percent(5) {
        routes.push(json!({"name": "single", "route": [to(SERVICE)], "mirror": {"host": "audit"}}));
    }
    routes.into()
}

/// Settings of a mirror.
pub fn settings(rng: &mut Rng) -> Value {
    let mut settings = json!({"percentage": rng.pick(&[100, 100, 50, 0])});
    if rng.percent(25) {
        settings["virtualService"] =
            json!({"name": ROUTE, "routes": rng.pick(&[json!([]), json!(["all"]), json!(["split"])])});
    }
    settings
}

/// One deed of a person, or of what a person set up.
pub fn change(hand: &mut Hand) -> &'static str {
    match hand.rng.below(8) {
        0 | 1 => {
            let route = virtual_service(hand.rng);
            if hand.server.create(ME, Kind::Route, route.clone()).is_err() {
                hand.edit(Kind::Route, ROUTE, |object| object["spec"] = route["spec"].clone());
            }
            "applies a VirtualService from Git"
        }
        2 | 3 => {
            revert(hand.server);
            "reverts the mirror"
        }
        4 => {
            drop(hand.server.delete(ME, Kind::Route, ROUTE, None, false));
            "deletes the VirtualService"
        }
        5 => {
            add_mirror(hand.server);
            "adds a mirror of their own"
        }
        6 => {
            let canary = hand.canary();
            drop(hand.server.delete(ME, Kind::Route, &canary, None, false));
            "deletes the controller's VirtualService"
        }
        _ => {
            hand.edit(Kind::Route, ROUTE, |object| {
                for entry in entries_mut(&mut object["spec"]) {
                    if entry["destination"]["host"] != "audit" {
                        entry["percentage"] = json!({"value": 7});
                    }
                }
            });
            "edits the mirror"
        }
    }
}

/// Does the VirtualService carry an entry of ours?
pub fn is_mirrored(server: &Server) -> bool {
    server.get(Kind::Route, ROUTE).is_some_and(|route| without_ours(&route["spec"]) != route["spec"])
}

/// Somebody takes our entries out.
pub fn revert(server: &mut Server) {
    drop(server.edit(ME, Kind::Route, ROUTE, |object| object["spec"] = without_ours(&object["spec"])));
}

/// Somebody puts a mirror before all others.
pub fn add_mirror(server: &mut Server) {
    drop(server.edit(ME, Kind::Route, ROUTE, |object| {
        for http in object["spec"]["http"].as_array_mut().into_iter().flatten().filter(|http| http["name"] != "single")
        {
            let mirrors = http.as_object_mut().expect("a route").entry("mirrors").or_insert_with(|| json!([]));
            let mirrors = mirrors.as_array_mut().expect("a list");
            if mirrors.len() < 5 {
                mirrors.insert(0, json!({"destination": {"host": "late"}}));
            }
        }
    }));
}

fn entries_mut(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let routes = spec["http"].as_array_mut().into_iter().flatten();
    routes.filter_map(|http| http.get_mut("mirrors")?.as_array_mut()).flatten()
}

fn entries(spec: &Value) -> impl Iterator<Item = &Value> {
    spec["http"].as_array().into_iter().flatten().flat_map(|http| http["mirrors"].as_array().into_iter().flatten())
}

/// People never write a mirror to a Service of a canary.
fn is_ours(entry: &Value) -> bool {
    entry["destination"]["host"].as_str().is_some_and(|host| host.ends_with("-kanary"))
}

/// What the user wrote.
fn without_ours(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for http in spec["http"].as_array_mut().into_iter().flatten() {
        let Some(mirrors) = http.get_mut("mirrors").and_then(Value::as_array_mut) else { continue };
        let had = mirrors.len();
        mirrors.retain(|entry| !is_ours(entry));
        if mirrors.is_empty() && had > 0 {
            http.as_object_mut().expect("a route").remove("mirrors");
        }
    }
    spec
}

/// How many mirrors to a canary's Service an object has.
pub fn carried(object: &Value, canary: &str) -> usize {
    entries(&object["spec"]).filter(|entry| entry["destination"]["host"] == canary).count()
}

/// Which user's routes carry the mirror of a canary.
pub fn carriers(server: &Server, canary: &str) -> Vec<(String, Arc<Value>)> {
    let of_users = server.list(Kind::Route).filter(|(_, object)| owners(object).next().is_none());
    of_users
        .filter(|(_, object)| carried(object, canary) > 0)
        .map(|(name, object)| (name.clone(), object.clone()))
        .collect()
}

/// What came in by a write that no controller knew of any more, by canary: it may stay where none reconciles.
#[derive(Default)]
pub struct Late(BTreeMap<String, u64>);

impl Late {
    pub fn note(&mut self, change: &Change) {
        let (Kind::Route, Actor::Deposed, Some(after)) = (change.kind, change.actor, &change.after) else { return };
        for entry in entries(&after["spec"]).filter(|entry| is_ours(entry)) {
            let host = entry["destination"]["host"].as_str().unwrap_or_default();
            self.0.insert(host.to_owned(), change.version);
        }
    }

    pub fn has(&self, canary: &str) -> bool {
        self.0.contains_key(canary)
    }
}

/// What one write of the controller may do to a route or to the `KanaryDeployment` itself.
pub fn check(server: &Server, observed: &Observed, change: &Change, late: &Late) -> Check {
    match change.kind {
        Kind::Route => of_route(server, observed, change),
        Kind::Kanary => of_finalizer(server, observed, change, late),
        Kind::Deployment | Kind::Service | Kind::Autoscaler | Kind::Pod | Kind::Slice => Ok(()),
    }
}

/// I4: only our entry is written, only while it is asked for, and only with the finalizer on.
fn of_route(server: &Server, observed: &Observed, change: &Change) -> Check {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
    ensure(without_ours(&before["spec"]) == without_ours(&after["spec"]), "I4", || {
        format!("{} loses what others wrote: {} -> {}", change.name, before["spec"], after["spec"])
    })?;
    let canary = names::kanary_service(&observed.kanary);
    let others =
        |object: &Value| entries(&object["spec"]).filter(|e| is_ours(e) && e["destination"]["host"] != canary).count();
    ensure(others(before) == others(after), "I4", || format!("another canary's mirror in {}", change.name))?;
    if carried(before, &canary) > 0 || carried(after, &canary) == 0 {
        return Ok(());
    }
    let runs = matches!(observed.status().phase, Some(Phase::Starting | Phase::Validating));
    let asked = observed.kanary.spec.traffic.source == Source::Mirror;
    ensure(runs && asked, "I4", || format!("a mirror in {:?}", observed.status().phase))?;
    let held = server.get(Kind::Kanary, observed.kanary.name()).is_some_and(|kanary| is_held(kanary));
    let own = owners(after).any(|owner| owner == observed.kanary.uid());
    ensure(own || held || change.actor == Actor::Deposed, "finalizer first", || {
        format!("{} gets a mirror before the finalizer is on", change.name)
    })
}

fn is_held(kanary: &Value) -> bool {
    kanary["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|one| one == names::MIRROR_FINALIZER))
}

/// Of the resource itself only our finalizer is written; it goes when no route carries the mirror.
fn of_finalizer(server: &Server, observed: &Observed, change: &Change, late: &Late) -> Check {
    let Some(before) = &change.before else { return Ok(()) };
    let gone = json!({});
    let after = change.after.as_deref().unwrap_or(&gone);
    ensure(change.after.is_none() || after["spec"] == before["spec"], "I4", || "the spec is written".into())?;
    let canary = names::kanary_service(&observed.kanary);
    let left: Vec<_> = carriers(server, &canary).into_iter().map(|(name, _)| name).collect();
    let released = is_held(before) && !is_held(after);
    ensure(!released || left.is_empty() || late.has(&canary), "finalizer last", || {
        format!("{left:?} carry the mirror, and the finalizer goes")
    })
}

/// At rest: the mirror is exactly where it is asked for.
pub fn is_as_asked(server: &Server, kanary: &KanaryDeployment) -> Check {
    const LAW: &str = "I5";
    let canary = names::kanary_service(kanary);
    if kanary.spec.traffic.source != Source::Mirror {
        let left = carriers(server, &canary);
        ensure(left.is_empty(), LAW, || format!("{left:?} carry a mirror that is not asked for"))?;
        let own = server.list(Kind::Route).find(|(_, route)| owners(route).any(|owner| owner == kanary.uid()));
        return ensure(own.is_none(), LAW, || "a VirtualService of our own, and no mirror is asked for".into());
    }
    let settings = kanary.spec.traffic.mirror();
    let own = server.list(Kind::Route).find(|(_, route)| owners(route).any(|owner| owner == kanary.uid()));
    let user = server.get(Kind::Route, ROUTE);
    let carrying = own.map(|(_, own)| own).or(user);
    let carrying = carrying.or_else(|| server.list(Kind::Route).map(|(_, route)| route).next());
    ensure(carrying.is_some_and(|route| carried(route, &canary) > 0), LAW, || "nobody carries the mirror".into())?;
    ensure(own.is_none() || user.is_none(), LAW, || "a VirtualService of our own beside the user's".into())?;
    let named = settings.virtual_service.as_ref().map(|route| route.routes.clone()).unwrap_or_default();
    for http in user.into_iter().flat_map(|route| route["spec"]["http"].as_array().into_iter().flatten()) {
        let name = http["name"].as_str().unwrap_or_default();
        let meant = named.is_empty() || named.iter().any(|one| one == name);
        let leads = ["all", "api", "split", "single"].contains(&name);
        let ours: Vec<&Value> = http["mirrors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|entry| entry["destination"]["host"] == canary)
            .collect();
        let right = match &ours[..] {
            [] => !(meant && leads),
            [one] => meant && leads && one["percentage"]["value"] == settings.percentage,
            _ => false,
        };
        ensure(right, LAW, || format!("route {name} carries {ours:?}"))?;
    }
    Ok(())
}

/// At rest, and with all of them gone: no mirror is left behind.
pub fn nobody_is_left(server: &Server, late: &Late) -> Check {
    for (name, route) in server.list(Kind::Route) {
        for entry in entries(&route["spec"]).filter(|entry| is_ours(entry)) {
            let canary = entry["destination"]["host"].as_str().unwrap_or_default();
            let kanary = canary.trim_end_matches("-kanary");
            let tended = server.get(Kind::Kanary, kanary).is_some() || late.has(canary);
            ensure(tended, "I4", || format!("{name} carries the mirror of {kanary}, which is gone"))?;
        }
    }
    Ok(())
}
