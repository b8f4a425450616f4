//! What changes around a canary: Services, the cluster's rules, the `KanaryDeployment` itself.

use serde_json::json;

use crate::{
    person::{Hand, ME},
    scene::{self, BASE, KANARIES, SERVICE},
    server::Kind,
};

pub fn change_services(hand: &mut Hand) -> &'static str {
    let canary = hand.canary();
    match hand.rng.below(8) {
        0 => {
            drop(hand.server.delete(ME, Kind::Service, SERVICE, None, false));
            "deletes the production Service"
        }
        1 | 2 => {
            let service = scene::service(hand.rng);
            drop(hand.server.create(ME, Kind::Service, service));
            "creates the production Service"
        }
        3 => {
            let selector = scene::selector(hand.rng);
            hand.edit(Kind::Service, SERVICE, |service| service["spec"]["selector"] = selector);
            "changes the production Service's selector"
        }
        4 => {
            let port = 80 + hand.rng.below(3);
            hand.edit(Kind::Service, SERVICE, |service| {
                service["spec"]["ports"] = json!([{"name": "http", "port": port}]);
            });
            "changes the production Service's ports"
        }
        5 => {
            let other = scene::other_service(hand.rng);
            if hand.server.create(ME, Kind::Service, other).is_err() {
                drop(hand.server.delete(ME, Kind::Service, "everything", None, false));
            }
            "adds or removes another Service"
        }
        6 => {
            let foreign =
                json!({"metadata": {"name": canary}, "spec": {"selector": {"app": "foreign"}, "ports": [{"port": 1}]}});
            if hand.server.create(ME, Kind::Service, foreign).is_err() {
                drop(hand.server.delete(ME, Kind::Service, &canary, None, false));
            }
            "takes or deletes the kanary service"
        }
        _ => {
            hand.edit(Kind::Service, &canary, |service| service["spec"]["selector"]["more"] = "yes".into());
            "edits the kanary service"
        }
    }
}

pub fn change_rules(hand: &mut Hand) -> &'static str {
    let canary = hand.canary();
    let rules = &mut hand.server.admission;
    match hand.rng.below(4) {
        0 => {
            rules.frozen = if rules.frozen.is_some() { None } else { Some(BASE.to_owned()) };
            "freezes or frees the base's template"
        }
        1 => {
            rules.frozen = if rules.frozen.is_some() { None } else { Some(canary) };
            "freezes or frees the canary's template"
        }
        2 => {
            rules.forbidden = hand.rng.pick(&[None, Some(Kind::Pod), Some(Kind::Deployment), Some(Kind::Service)]);
            "changes the quota"
        }
        _ => {
            rules.sidecar = !rules.sidecar;
            "installs or removes a webhook"
        }
    }
}

pub fn delete_kanary(hand: &mut Hand) -> &'static str {
    if hand.rng.percent(50) {
        let name = hand.rng.pick(&KANARIES[..1]);
        let kanary = scene::kanary(name, hand.rng, hand.server.now);
        drop(hand.server.create(ME, Kind::Kanary, kanary));
        return "creates a KanaryDeployment";
    }
    let name = hand.kanary.clone();
    drop(hand.server.delete(ME, Kind::Kanary, &name, None, hand.rng.percent(30)));
    "deletes a KanaryDeployment"
}
