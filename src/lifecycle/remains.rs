//! What keeps a canary from being removed: a finalizer that its holder does not release, or a pod that no ReplicaSet of the
//! canary deletes. The run is not over before.

use crate::{
    api::{names, text},
    canary,
    decision::{Kind, Observed},
    objects::{Object, Pod},
};

/// The garbage collector's own, which it releases.
const ORDINARY: [&str; 2] = ["foregroundDeletion", "orphan"];
/// The most bytes of the name of a finalizer, or of an owner.
const SHORT: usize = 200;

/// What holds a canary that is being removed, and what to do, in a sentence.
pub(super) fn held(seen: &Observed) -> Option<String> {
    let ours = || seen.pods.iter().filter(|pod| !canary::is_anothers(seen, pod));
    let pod = ours().find_map(|pod| finalizer("Pod", pod.as_ref()));
    pod.or_else(|| seen.own_canary().and_then(|canary| finalizer(Kind::Deployment.as_str(), canary)))
        .or_else(|| seen.own_autoscaler().and_then(|hpa| finalizer(Kind::HorizontalPodAutoscaler.as_str(), hpa)))
        .or_else(|| seen.own_services().find_map(|service| finalizer(Kind::Service.as_str(), service)))
        .or_else(|| left(seen))
}

/// The finalizer that an object which is being deleted waits for.
fn finalizer<K: Object>(kind: &str, object: &K) -> Option<String> {
    let mut finalizers = object.meta().finalizers.iter().flatten();
    let finalizer = finalizers.find(|name| !ORDINARY.contains(&name.as_str())).filter(|_| object.is_terminating())?;
    let (name, finalizer) = (object.name(), text::clip(finalizer, SHORT));
    Some(format!("{kind} {name} is held by its finalizer {finalizer}; whoever added it must release it"))
}

/// A pod that stays though the canary Deployment is gone.
fn left(seen: &Observed) -> Option<String> {
    let pod = seen.live_pods().find(|pod| seen.canary.is_none() && !canary::is_anothers(seen, pod))?;
    let (name, label) = (pod.name(), names::CANARY_LABEL);
    Some(format!("only pod {name} is left, which {}; delete it, or remove its label {label}", owner(pod)))
}

fn owner(pod: &Pod) -> String {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let short = |text: &str| text::clip(text, SHORT);
    owners
        .next()
        .map_or_else(|| "has no owner".into(), |owner| format!("{} {} owns", short(&owner.kind), short(&owner.name)))
}
