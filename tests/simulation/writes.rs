//! What a single write of the controller may do, judged by the write alone.

use std::{collections::BTreeSet, sync::Arc};

use kanary::{
    api::{Cleanup, KanaryDeployment, Phase, Template, names},
    decision::{Action, Observed, Plan},
    objects::Object,
};
use serde_json::Value;

use crate::{
    admission::covers,
    checker::{Check, ensure},
    machinery::{owned, owners, uid},
    past::Past,
    request::kind_of,
    routes,
    server::{Actor, Change, Kind, Server},
};

/// All laws about one write.
pub fn check(server: &Server, past: &Past, observed: &Observed, action: &Action, change: &Change) -> Check {
    only_its_own(past, observed, action, change)?;
    if let Action::CreateBase { .. } = action {
        never_recreated(server, observed, change)?;
    }
    in_its_time(observed, action)?;
    match action {
        Action::Delete { .. } if change.kind == Kind::Deployment => {
            leaves_first(observed)?;
            stays_for_the_rollout(observed)
        }
        Action::Patch { .. } if change.kind == Kind::Pod => {
            joins_by_right(observed, change)?;
            gets_only_its_labels(observed, change)
        }
        Action::Promote { .. } => keeps_its_pods(observed, change),
        _ => Ok(()),
    }
}

/// A label says what a pod is: a canary pod gets none that the pods of its template would not have.
fn gets_only_its_labels(observed: &Observed, change: &Change) -> Check {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
    let (before, after) = (&before["metadata"]["labels"], &after["metadata"]["labels"]);
    let template = observed.kanary.spec.template.pod_labels();
    let news = after.as_object().into_iter().flatten().filter(|(key, value)| before[key.as_str()] != **value);
    let foreign = news.filter(|(key, value)| template.get(*key).map(String::as_str) != value.as_str());
    let foreign: Vec<_> = foreign.map(|(key, value)| format!("{key}={value}")).collect();
    ensure(foreign.is_empty(), "only its labels", || format!("pod {} gets {}", change.name, foreign.join(", ")))
}

/// A Service that selects the base's pods selects them after the promotion, too.
fn keeps_its_pods(observed: &Observed, change: &Change) -> Check {
    let (Some(base), Some(after)) = (observed.base.as_deref(), &change.after) else { return Ok(()) };
    let promoted = &after["spec"]["template"]["metadata"]["labels"];
    let labels = serde_json::json!(base.spec.template.labels);
    let selectors = observed.services.iter().filter(|service| !observed.is_ours(&***service));
    let selectors = selectors.map(|service| (service.name(), serde_json::json!(service.spec.selector)));
    let lost = selectors.filter(|(_, selector)| covers(selector, &labels) && !covers(selector, promoted));
    let lost: Vec<_> = lost.map(|(name, _)| name).collect();
    ensure(lost.is_empty(), "a Service keeps its pods", || {
        format!("the promotion takes the pods of {}", lost.join(", "))
    })
}

/// Nothing is made once the verdict is there, and what is removed before was no longer asked for.
fn in_its_time(observed: &Observed, action: &Action) -> Check {
    let spec = &observed.kanary.spec;
    let runs = matches!(observed.status().phase, Some(Phase::Starting | Phase::Validating));
    let superfluous = |action: &Action| match action.target().kind {
        kanary::decision::Kind::HorizontalPodAutoscaler => spec.scale.hpa.is_none(),
        kanary::decision::Kind::Service => {
            !spec.traffic.source.has_kanary_service() || action.target().name != names::kanary_service(&observed.kanary)
        }
        kanary::decision::Kind::VirtualService => true,
        _ => false,
    };
    let right = match action {
        Action::Create { .. } | Action::CreateBase { .. } => runs,
        Action::Delete { .. } => !runs || superfluous(action) || observed.kanary.metadata.deletion_timestamp.is_some(),
        Action::Patch { .. } | Action::Promote { .. } => true,
    };
    ensure(right, "I4", || format!("{} in {:?}", action.describe(), observed.status().phase))
}

/// What is to be created is absent at the moment of the decision, however far behind the store is.
pub fn only_what_is_absent(server: &Server, plan: &Plan) -> Check {
    let is_there = |action: &&Action| server.get(kind_of(action.target().kind), &action.target().name).is_some();
    let created = plan.actions.iter().filter(|action| action.creates()).find(is_there);
    let how = || created.map(Action::describe).unwrap_or_default();
    ensure(created.is_none(), "what is there is not created", how)
}

/// After success the canary stays until the base's rollout is as far as `cleanup` says.
fn stays_for_the_rollout(observed: &Observed) -> Check {
    let validation = &observed.kanary.spec.validation;
    // A user who deletes the resource waits for nothing.
    let is_deleted = observed.kanary.metadata.deletion_timestamp.is_some();
    let is_promoting = observed.status().phase == Some(Phase::Promoting) && !is_deleted;
    let Some(base) = observed.base.as_deref().filter(|_| is_promoting) else {
        return Ok(());
    };
    let (status, wanted) = (&base.status, base.spec.replicas);
    let seen = status.observed_generation >= base.metadata.generation.unwrap_or_default();
    let complete = status.updated_replicas == wanted && status.available_replicas >= wanted;
    let far = match validation.cleanup {
        // One that cannot begin is given the canary's room.
        Cleanup::RolloutStarted => seen && (status.updated_replicas > 0 || wanted == 0 || base.stall().is_some()),
        Cleanup::RolloutComplete => seen && complete && status.replicas == wanted,
    };
    ensure(far || validation.no_update, "cleanup", || "the canary goes before the base is rolled out".into())
}

/// A canary's pods leave the production Service, and then its EndpointSlices, before they are deleted.
fn leaves_first(observed: &Observed) -> Check {
    let status = observed.status();
    let since = match status.phase {
        Some(Phase::Failing) => status.verdict_at,
        Some(Phase::Promoting) => status.canary.as_ref().and_then(|canary| canary.leaving_since),
        _ => return Ok(()),
    };
    if since.is_some_and(|since| since.duration_until(observed.now).as_secs() >= 10) {
        return Ok(());
    }
    let selector = observed.service().map(|service| serde_json::json!(service.spec.selector)).unwrap_or_default();
    let mut live = observed.pods.iter().filter(|pod| !pod.is_terminating());
    let inside = live.find(|pod| {
        let listed = observed.endpoints.as_ref().is_some_and(|listed| listed.contains(pod.name()));
        listed || covers(&selector, &serde_json::json!(pod.labels()))
    });
    ensure(inside.is_none(), "leave first", || {
        format!("{} is deleted while production sends traffic to it", inside.map(|pod| pod.name()).unwrap_or_default())
    })
}

/// I4: nothing the user made is changed or deleted, but for the one promotion.
fn only_its_own(past: &Past, observed: &Observed, action: &Action, change: &Change) -> Check {
    let Some(before) = &change.before else { return Ok(()) };
    // An owner reference may be taken away.
    let owned = owners(before).any(|owner| owner == observed.kanary.uid()) || past.was_made(&uid(before));
    let pod = change.kind == Kind::Pod
        && before["metadata"]["labels"][names::CANARY_LABEL] == observed.kanary.name()
        && matches!(action, Action::Patch { .. });
    // What may be written there is `routes`' business.
    let mirror = matches!(change.kind, Kind::Route | Kind::Kanary) && matches!(action, Action::Patch { .. });
    ensure(owned || pod || mirror || matches!(action, Action::Promote { .. }), "I4", || {
        format!("{} is not ours: {}", change.name, action.describe())
    })
}

/// I4: a promotion touches what follows the template, and nothing else.
pub fn only_what_follows(before: &Value, after: &Value, template: &Value) -> Check {
    const FOLLOW: [&str; 6] =
        ["template", "strategy", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds", "replicas"];
    let fields = |object: &Value| object["spec"].as_object().cloned().unwrap_or_default();
    let (old, new) = (fields(before), fields(after));
    for key in old.keys().chain(new.keys()) {
        let follows = FOLLOW.contains(&key.as_str()) && (key == "template" || template["spec"].get(key).is_some());
        ensure(follows || old.get(key) == new.get(key), "I4", || format!("the promotion changes spec.{key}"))?;
    }
    for field in ["labels", "annotations"] {
        let had = before["metadata"][field].as_object().cloned().unwrap_or_default();
        let kept = had.keys().all(|key| after["metadata"][field].get(key).is_some());
        ensure(kept, "I4", || format!("the promotion takes {field} away"))?;
    }
    Ok(())
}

/// A base that was recorded once is never created again.
fn never_recreated(server: &Server, observed: &Observed, change: &Change) -> Check {
    let persisted = server.get(Kind::Kanary, observed.kanary.name()).is_some_and(|kanary| {
        kanary["metadata"]["uid"] == observed.kanary.uid()
            && kanary.pointer("/status/base/name").is_some_and(|name| *name == change.name.as_str())
    });
    ensure(!persisted || change.actor == Actor::Deposed, "I1", || "a base that is gone is created again".into())
}

/// I2: nothing but the source that is asked for, in a run that is alive, puts a pod into production.
fn joins_by_right(observed: &Observed, change: &Change) -> Check {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
    let Some(service) = observed.service() else { return Ok(()) };
    let selector = serde_json::json!(service.spec.selector);
    let joins = !covers(&selector, &before["metadata"]["labels"]) && covers(&selector, &after["metadata"]["labels"]);
    let alive = matches!(observed.status().phase, Some(Phase::Starting | Phase::Validating | Phase::Promoting));
    let asked = observed.kanary.spec.traffic.source.joins_production();
    ensure(!joins || alive && asked, "I2", || format!("pod {} is put into production", change.name))
}

/// I4: when the run is over, nothing of it is left.
pub fn nothing_left(server: &Server, observed: &Observed, stragglers: &BTreeSet<String>) -> Check {
    let mut left = leftovers(server, &observed.kanary);
    left.retain(|(_, object)| {
        let late = |uid: &str| stragglers.contains(uid);
        !late(&uid(object)) && !owners(object).any(late)
    });
    let names: Vec<_> = left.into_iter().map(|(name, _)| name).collect();
    ensure(names.is_empty(), "I4", || format!("the run is over, but {names:?} are left"))
}

/// What the controller made, and the pods of it.
pub fn leftovers(server: &Server, kanary: &KanaryDeployment) -> Vec<(String, Arc<Value>)> {
    let of = |kind| owned(server, kind, kanary.uid()).into_iter().map(move |name| (kind, name));
    let children = [Kind::Deployment, Kind::Service, Kind::Autoscaler, Kind::Route].into_iter().flat_map(of);
    let ours = |pod: &Value| pod["metadata"]["labels"][names::CANARY_LABEL] == kanary.name();
    let name = names::canary(kanary);
    let canary =
        server.get(Kind::Deployment, &name).filter(|canary| !owners(canary).any(|owner| owner == kanary.uid()));
    let recorded = kanary.status.iter().flat_map(|status| &status.canary).flat_map(|canary| &canary.uids);
    let recorded: BTreeSet<&String> = recorded.collect();
    // Whose owner reference was taken away before it was recorded is not recognized, and stays with its pods.
    let is_lost = canary.is_some_and(|canary| !recorded.contains(&uid(canary)));
    let disowned = [Kind::Deployment, Kind::Service, Kind::Autoscaler].into_iter().flat_map(|kind| {
        let known = server.list(kind).filter(|(_, object)| recorded.contains(&uid(object)));
        known.map(move |(name, _)| (kind, name.clone()))
    });
    let children = children.chain(disowned);
    let pods = server.list(Kind::Pod).filter(|(_, pod)| ours(pod) && !is_lost);
    let pods = pods.map(|(name, _)| (Kind::Pod, name.clone()));
    let left = children.chain(pods).filter_map(|(kind, name)| Some((name.clone(), server.get(kind, &name)?.clone())));
    left.chain(routes::carriers(server, &names::kanary_service(kanary))).collect()
}

/// The template as it is hashed.
pub fn template_hash(kanary: &Value) -> String {
    kanary["spec"]["template"].as_object().map(|map| Template::from(map.clone()).hash().to_owned()).unwrap_or_default()
}
