//! People, and whatever else writes without asking: each of these may come at any moment.

use jiff::SignedDuration;
use kanary::api::names;
use serde_json::{Value, json};

use crate::{
    deployments::Deployments,
    neighbour::{change_rules, change_services, delete_kanary},
    rng::Rng,
    routes,
    scene::{self, BASE, SERVICE},
    server::{Actor, Kind, Server},
};

pub const ME: Actor = Actor::Person;

/// What a user does; it says what that was.
type Deed = fn(&mut Hand) -> &'static str;

/// One deed; says which.
pub fn act(server: &mut Server, deployments: &Deployments, rng: &mut Rng) -> &'static str {
    let kanary = rng.pick(&server.names(Kind::Kanary).into_iter().chain(["trial".to_owned()]).collect::<Vec<_>>());
    let deeds: [(usize, Deed); 9] = [
        (30, judge),
        (22, ask_otherwise),
        (12, change_base),
        (14, meddle_with_canary),
        (8, change_services),
        (8, routes::change),
        (6, change_rules),
        (4, delete_kanary),
        (4, scale_base),
    ];
    let deed = deeds[rng.weighted(&deeds.map(|(weight, _)| weight))].1;
    deed(&mut Hand { server, deployments, rng, kanary })
}

/// Somebody else gives the base another image.
pub fn edit_base(server: &mut Server) {
    drop(server.edit(ME, Kind::Deployment, BASE, |base| {
        base["spec"]["template"]["spec"]["containers"][0]["image"] = "app:good-13".into();
    }));
}

/// Somebody deletes every `KanaryDeployment`.
pub fn delete_all(server: &mut Server) {
    for name in server.names(Kind::Kanary) {
        drop(server.delete(ME, Kind::Kanary, &name, None, false));
    }
}

/// Who acts, and on which canary.
pub struct Hand<'a> {
    pub server: &'a mut Server,
    deployments: &'a Deployments,
    pub rng: &'a mut Rng,
    pub kanary: String,
}

impl Hand<'_> {
    pub fn edit(&mut self, kind: Kind, name: &str, edit: impl FnOnce(&mut Value)) {
        drop(self.server.edit(ME, kind, name, edit));
    }

    fn edit_kanary(&mut self, edit: impl FnOnce(&mut Value)) {
        let name = self.kanary.clone();
        self.edit(Kind::Kanary, &name, edit);
    }

    pub fn canary(&self) -> String {
        format!("{}-kanary", self.kanary)
    }

    fn canary_pod(&mut self) -> Option<String> {
        let label = |pod: &Value| pod["metadata"]["labels"][names::CANARY_LABEL] == self.kanary.as_str();
        let pods: Vec<_> = self.server.list(Kind::Pod).filter(|(_, pod)| label(pod)).map(|(n, _)| n.clone()).collect();
        (!pods.is_empty()).then(|| self.rng.pick(&pods))
    }
}

fn judge(hand: &mut Hand) -> &'static str {
    match hand.rng.below(10) {
        0..=3 => {
            hand.edit_kanary(|kanary| kanary["spec"]["validation"]["manual"] = json!({"status": "valid"}));
            "says valid"
        }
        4..=5 => {
            hand.edit_kanary(|kanary| {
                let (run, template) = (kanary["status"]["run"].clone(), kanary["status"]["templateHash"].clone());
                kanary["spec"]["validation"]["manual"] =
                    json!({"status": "valid", "run": run, "templateHash": template});
            });
            "says valid of this run"
        }
        6 => {
            hand.edit_kanary(|kanary| {
                kanary["spec"]["validation"]["manual"] = json!({"status": "invalid", "reason": "smells"});
            });
            "says invalid"
        }
        7 => {
            hand.edit_kanary(|kanary| drop(kanary["spec"]["validation"].as_object_mut().map(|v| v.remove("manual"))));
            "takes the word back"
        }
        8 => {
            if let Some(pod) = hand.canary_pod() {
                hand.edit(Kind::Pod, &pod, |pod| pod["metadata"]["labels"]["judge"] = "bad".into());
            }
            "labels a canary pod as bad"
        }
        _ => {
            let canary = hand.canary();
            hand.edit(Kind::Deployment, &canary, |canary| canary["metadata"]["labels"]["judge"] = "bad".into());
            "labels the canary as bad"
        }
    }
}

fn ask_otherwise(hand: &mut Hand) -> &'static str {
    match hand.rng.below(8) {
        0 => {
            let template = scene::template(hand.rng);
            let later = hand.server.now + SignedDuration::from_secs(60);
            let schedule = hand.rng.percent(25).then(|| later.to_string());
            hand.edit_kanary(|kanary| {
                // The rule of the resource: the selector cannot change while the canary runs.
                let selector = kanary["spec"]["template"]["spec"]["selector"].take();
                kanary["spec"]["template"] = template;
                kanary["spec"]["template"]["spec"]["selector"] = selector;
                if let Some(later) = schedule {
                    kanary["spec"]["schedule"] = later.into();
                }
            });
            "edits the template"
        }
        1 => {
            let scale = scene::scale(hand.rng);
            hand.edit_kanary(|kanary| kanary["spec"]["scale"] = scale);
            "edits the scale"
        }
        2 | 3 => {
            let source = scene::source(hand.rng);
            hand.edit_kanary(|kanary| kanary["spec"]["traffic"]["source"] = source);
            "edits the source"
        }
        7 => {
            let settings = routes::settings(hand.rng);
            hand.edit_kanary(|kanary| kanary["spec"]["traffic"]["mirror"] = settings);
            "edits the mirror's settings"
        }
        4 => {
            let id = format!("try-{}", hand.rng.below(3));
            hand.edit_kanary(|kanary| kanary["spec"]["runID"] = id.into());
            "retries"
        }
        5 => {
            let items = scene::items(hand.rng);
            hand.edit_kanary(|kanary| kanary["spec"]["validation"]["items"] = items);
            "edits the items"
        }
        _ => {
            let validation = scene::validation(hand.rng);
            hand.edit_kanary(|kanary| kanary["spec"]["validation"] = validation);
            "edits the validation"
        }
    }
}

fn change_base(hand: &mut Hand) -> &'static str {
    match hand.rng.below(9) {
        8 => {
            hand.edit(Kind::Deployment, BASE, |base| base["metadata"]["annotations"] = json!({}));
            "replaces the base with itself"
        }
        0 | 1 => {
            let image = format!("app:good-{}", 10 + hand.rng.below(3));
            hand.edit(Kind::Deployment, BASE, |base| {
                base["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
            });
            "edits the base"
        }
        2 | 3 => undo(hand),
        4 | 5 => {
            hand.edit(Kind::Deployment, BASE, |base| {
                let paused = base["spec"]["paused"] == true;
                base["spec"]["paused"] = (!paused).into();
            });
            "pauses or resumes the base"
        }
        6 => {
            drop(hand.server.delete(ME, Kind::Deployment, BASE, None, hand.rng.percent(50)));
            "deletes the base"
        }
        _ => {
            drop(hand.server.delete(ME, Kind::Deployment, BASE, None, false));
            let base = scene::base(hand.rng);
            drop(hand.server.create(ME, Kind::Deployment, base));
            "makes the base anew"
        }
    }
}

/// `kubectl rollout undo`: template and annotations of the revision before.
fn undo(hand: &mut Hand) -> &'static str {
    let Some(base) = hand.server.get(Kind::Deployment, BASE) else { return "undoes nothing" };
    let sets = base["metadata"]["uid"].as_str().and_then(|uid| hand.deployments.history.get(uid));
    let Some(before) = sets.filter(|sets| sets.len() > 1).map(|sets| sets[sets.len() - 2].clone()) else {
        return "has nothing to undo";
    };
    if base["spec"]["paused"] == true {
        return "cannot undo a paused base";
    }
    hand.edit(Kind::Deployment, BASE, |base| {
        let revision = base["metadata"]["annotations"].get(names::REVISION).cloned();
        base["spec"]["template"] = before.template;
        base["metadata"]["annotations"] = before.annotations;
        if let (Some(revision), Some(annotations)) = (revision, base["metadata"]["annotations"].as_object_mut()) {
            annotations.insert(names::REVISION.into(), revision);
        }
    });
    "undoes the rollout of the base"
}

fn scale_base(hand: &mut Hand) -> &'static str {
    match hand.rng.below(3) {
        0 => {
            let hpa = scene::base_autoscaler();
            if hand.server.create(ME, Kind::Autoscaler, hpa).is_err() {
                drop(hand.server.delete(ME, Kind::Autoscaler, BASE, None, false));
            }
            "adds or removes an autoscaler of the base"
        }
        _ => {
            let replicas = hand.rng.below(4);
            hand.edit(Kind::Deployment, BASE, |base| base["spec"]["replicas"] = replicas.into());
            "scales the base"
        }
    }
}

fn meddle_with_canary(hand: &mut Hand) -> &'static str {
    let canary = hand.canary();
    match hand.rng.below(10) {
        9 => {
            let kind = hand.rng.pick(&[Kind::Deployment, Kind::Deployment, Kind::Service, Kind::Autoscaler]);
            hand.edit(kind, &canary, |child| child["metadata"]["ownerReferences"] = json!([]));
            "removes the owner reference of a child"
        }
        0 => {
            hand.edit(Kind::Deployment, &canary, |canary| {
                canary["spec"]["template"]["spec"]["containers"][0]["image"] = "app:good-99".into();
            });
            "edits the canary's template"
        }
        1 => {
            hand.edit(Kind::Deployment, &canary, |canary| canary["spec"]["replicas"] = 4.into());
            "scales the canary"
        }
        2 => {
            hand.edit(Kind::Deployment, &canary, |canary| canary["spec"]["paused"] = true.into());
            "pauses the canary"
        }
        3 => {
            drop(hand.server.delete(ME, Kind::Deployment, &canary, None, hand.rng.percent(50)));
            "deletes the canary"
        }
        4 | 5 => {
            let selector = hand.server.get(Kind::Service, SERVICE).map(|service| service["spec"]["selector"].clone());
            if let (Some(pod), Some(Value::Object(labels))) = (hand.canary_pod(), selector) {
                hand.edit(Kind::Pod, &pod, |pod| {
                    for (key, value) in labels {
                        pod["metadata"]["labels"][&key] = value;
                    }
                });
            }
            "puts a canary pod into production"
        }
        6 => {
            if let Some(pod) = hand.canary_pod() {
                drop(hand.server.delete(ME, Kind::Pod, &pod, None, false));
            }
            "deletes a canary pod"
        }
        7 => {
            hand.edit(Kind::Autoscaler, &canary, |hpa| hpa["spec"]["maxReplicas"] = 9.into());
            "edits the canary's autoscaler"
        }
        _ => {
            drop(hand.server.delete(ME, Kind::Autoscaler, &canary, None, false));
            "deletes the canary's autoscaler"
        }
    }
}
