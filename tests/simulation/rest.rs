//! I5: the state that must be reached once faults stop, judged by the objects alone; and silence.

use kanary::{
    api::{KanaryDeployment, Phase, names},
    decision::Lookup,
    objects::Object,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    admission::covers,
    checker::{Check, ensure},
    history::World,
    machinery::{is_ready, owners},
    routes,
    server::{Kind, Server},
    shell::Deed,
    writes::{leftovers, template_hash},
};

const LAW: &str = "I5";

/// All `KanaryDeployment`s are where they must be, and no controller has anything to write.
pub fn check(world: &mut World) -> Check {
    for (_, object) in world.server.list(Kind::Kanary) {
        let kanary = KanaryDeployment::deserialize(object.as_ref()).expect("it is one");
        let leader = world.leader.as_ref().expect("somebody leads");
        let plan = leader.plan_now(world.server.now, kanary.name()).expect("it was delivered");
        // What is refused for good is retried indefinitely.
        let question = leader.question_now(world.server.now, kanary.name());
        let asks = matches!(question, Some(Lookup::ReadRoutes | Lookup::ReadAbsent(_)));
        let silent = plan.actions.is_empty() && plan.status.is_none() && !asks || leader.is_in_trouble(kanary.name());
        ensure(silent, LAW, || format!("it is not silent: {plan:?}"))?;
        let phase = kanary.status.as_ref().and_then(|status| status.phase);
        place(&world.server, object, &kanary, phase)?;
        world.checker.coverage.reach(&format!("rests in {:?}", phase.expect("it began")));
    }
    routes::nobody_is_left(&world.server, &world.checker.late)
}

fn place(server: &Server, object: &Value, kanary: &KanaryDeployment, phase: Option<Phase>) -> Check {
    let because = |type_: &str| condition(object, type_);
    let told = || format!("{phase:?}: {}", object["status"]);
    match phase {
        None => ensure(false, LAW, || "it never began".into()),
        Some(Phase::Scheduled | Phase::Failing) => ensure(false, LAW, || format!("it rests in {}", told())),
        Some(Phase::Starting) => {
            let stalled = because("Stalled").0 == "True" || because("Reconciling").1 == "RequestFailed";
            let waits = because("Traffic").1 == "ServiceNotFound";
            ensure(stalled || waits, LAW, || format!("it starts for ever, and does not say why: {}", told()))
        }
        Some(Phase::Validating) => {
            let (_, reason) = because("Running");
            let mute = message(object).contains("no conclusive answer since");
            let obstacle = mute || because("Stalled").0 == "True" || because("Traffic").1 == "ServiceNotFound";
            let why = reason == "AwaitingEvidence" || reason == "Paused" && obstacle;
            ensure(why, LAW, || format!("it validates for ever, and does not say why: {}", told()))?;
            if reason == "AwaitingEvidence" { canary_is_as_asked(server, object, kanary) } else { Ok(()) }
        }
        Some(Phase::Promoting) => {
            let (_, reason) = because("DeploymentUpdated");
            let base = server.get(Kind::Deployment, &names::base(kanary)).cloned().unwrap_or_default();
            let paused = reason == "BasePaused" && base["spec"]["paused"] == true;
            let stuck = paused
                || reason == "BaseRolloutStalled"
                || because("Stalled").0 == "True"
                || because("Reconciling").1 == "RequestFailed";
            ensure(stuck, LAW, || format!("it promotes for ever, and does not say why: {}", told()))
        }
        Some(Phase::Succeeded | Phase::Failed) => {
            let left: Vec<_> = leftovers(server, kanary).into_iter().map(|(name, _)| name).collect();
            ensure(left.is_empty(), "I4", || format!("{left:?} outlive the run"))?;
            let same = object["status"]["templateHash"] == template_hash(object)
                && object["status"].get("runID") == object["spec"].get("runID");
            ensure(same, LAW, || format!("a new run is asked for, and does not begin: {}", told()))
        }
    }
}

fn message(object: &Value) -> &str {
    object.pointer("/status/message").and_then(Value::as_str).unwrap_or_default()
}

fn condition(object: &Value, type_: &str) -> (String, String) {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == type_);
    let text = |field: &str| found.and_then(|c| c[field].as_str()).unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

/// A canary at work is what its `KanaryDeployment` says: image, size, traffic.
fn canary_is_as_asked(server: &Server, object: &Value, kanary: &KanaryDeployment) -> Check {
    let name = names::canary(kanary);
    let canary = server.get(Kind::Deployment, &name).cloned().unwrap_or_default();
    let image = |object: &Value, at: &str| object.pointer(at).cloned();
    let asked = image(object, "/spec/template/spec/template/spec/containers/0/image");
    ensure(image(&canary, "/spec/template/spec/containers/0/image") == asked, LAW, || {
        format!("{name} does not run what is asked for")
    })?;
    ensure(canary["spec"]["paused"] != true, LAW, || format!("{name} is paused"))?;
    let scaled = server.list(Kind::Autoscaler).any(|(_, hpa)| hpa["spec"]["scaleTargetRef"]["name"] == name.as_str());
    let fixed = kanary.spec.scale.static_.as_ref().map_or(1, |fixed| fixed.replicas);
    ensure(scaled || canary["spec"]["replicas"] == fixed, LAW, || format!("{name} has not {fixed} replicas"))?;
    let own = server.get(Kind::Autoscaler, &name).filter(|hpa| owners(hpa).any(|owner| owner == kanary.uid()));
    ensure(own.is_some() == kanary.spec.scale.hpa.is_some(), LAW, || format!("the autoscaler of {name}"))?;
    if let (Some(own), Some(asked)) = (own, &kanary.spec.scale.hpa) {
        ensure(own["spec"]["maxReplicas"] == asked.max_replicas, LAW, || format!("the size of {name}"))?;
    }
    routes::is_as_asked(server, kanary)?;
    traffic_is_as_asked(server, kanary)
}

fn traffic_is_as_asked(server: &Server, kanary: &KanaryDeployment) -> Check {
    let source = kanary.spec.traffic.source;
    let service = server.get(Kind::Service, &names::kanary_service(kanary));
    let own = service.filter(|service| owners(service).any(|owner| owner == kanary.uid()));
    ensure(own.is_some() == source.has_kanary_service(), LAW, || "the kanary service".into())?;
    let production = kanary.spec.service_name.as_ref().and_then(|name| server.get(Kind::Service, name));
    if let (Some(own), Some(production)) = (own, production) {
        let only_ours = json!({names::CANARY_LABEL: kanary.name()});
        ensure(own["spec"]["selector"] == only_ours, LAW, || "the kanary service's selector".into())?;
        ensure(own["spec"]["ports"] == production["spec"]["ports"], LAW, || "the kanary service's ports".into())?;
    }
    let Some(production) = production else { return Ok(()) };
    let ours = |pod: &&Value| pod["metadata"]["labels"][names::CANARY_LABEL] == kanary.name() && is_ready(pod);
    let selected = |pod: &Value| covers(&production["spec"]["selector"], &pod["metadata"]["labels"]);
    let right = server
        .list(Kind::Pod)
        .map(|(_, pod)| pod.as_ref())
        .filter(ours)
        .all(|pod| selected(pod) == source.joins_production());
    ensure(right, "I2", || format!("pods are where {source:?} does not put them"))
}

pub fn statuses(server: &Server) -> String {
    server.list(Kind::Kanary).map(|(name, kanary)| format!("{name}: {}\n", kanary["status"])).collect()
}

/// For the trace: what was decided and written.
pub fn describe(server: &Server, deed: &Deed) -> Vec<String> {
    let mut lines = match deed {
        Deed::Nothing => Vec::new(),
        Deed::Planned { observed, plan } => vec![format!(
            "plan for {} in {:?}: {:?}, tells {:?}, wakes {:?}",
            observed.kanary.name(),
            observed.status().phase,
            plan.actions.iter().map(kanary::decision::Action::describe).collect::<Vec<_>>(),
            plan.status.as_ref().map(|tell| (tell.status.phase, &tell.status.message)),
            plan.requeue_at,
        )],
        Deed::Acted { action, done, .. } => vec![format!("  {}: {done:?}", action.describe())],
        Deed::Told { tell, done, .. } => {
            vec![format!("  status {:?} {:?}: {done:?}", tell.status.phase, tell.notices)]
        }
    };
    for change in &server.changes {
        let what = change.after.as_ref().map_or("gone".into(), |after| brief(after, change.before.as_deref()));
        lines.push(format!("    {:?} {:?} {} {what}", change.actor, change.kind, change.name));
    }
    lines
}

/// What changed in an object.
fn brief(after: &Value, before: Option<&Value>) -> String {
    let version = &after["metadata"]["resourceVersion"];
    let Some(before) = before else { return format!("made {version} {after}") };
    let mut parts = Vec::new();
    for field in ["spec", "status", "endpoints"] {
        let (old, new) = (&before[field], &after[field]);
        for (key, value) in new.as_object().into_iter().flatten().filter(|(key, value)| old.get(*key) != Some(value)) {
            parts.push(format!("{field}.{key}={value}"));
        }
    }
    for field in ["labels", "annotations", "deletionTimestamp", "finalizers"] {
        if before["metadata"][field] != after["metadata"][field] {
            parts.push(format!("{field}={}", after["metadata"][field]));
        }
    }
    format!("{version} {}", parts.join(" "))
}
