//! Invalidation labels, which another system puts on a canary pod or on the canary Deployment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::item_result::{ItemResult, Timing};
use crate::{
    api::{LabelWatch, Verdict},
    canary,
    decision::Observed,
    objects::{Labels, Object, map_selects, selects},
};

/// Invalid as soon as a match is seen, valid when the period passes without.
pub(super) fn evaluate(seen: &Observed, watch: &LabelWatch, timing: Timing) -> ItemResult {
    let pods = (&watch.pod_invalidation_labels, &watch.pod_invalidation_selector);
    let deployments = (&watch.deployment_invalidation_labels, &watch.deployment_invalidation_selector);
    let tested = seen.pods.iter().filter(|pod| canary::is_under_test(seen, pod, timing.available));
    let mut bad_pods: Vec<&str> = tested.filter(|pod| matches(pods, &pod.labels())).map(|pod| pod.name()).collect();
    bad_pods.sort_unstable();
    if let Some(pod) = bad_pods.first() {
        return ItemResult::new(Verdict::Invalid, format!("pod {pod} matches the invalidation labels"));
    }
    if let Some(canary) = seen.own_canary().filter(|canary| matches(deployments, &canary.labels())) {
        return ItemResult::new(
            Verdict::Invalid,
            format!("Deployment {} matches the invalidation labels", canary.name()),
        );
    }
    if timing.period_over {
        return ItemResult::new(Verdict::Valid, "no failure label during the validation period");
    }
    ItemResult::new(Verdict::Unknown, "no failure label so far")
}

fn matches((labels, selector): (&Option<Labels>, &Option<LabelSelector>), on: &Labels) -> bool {
    labels.as_ref().is_some_and(|labels| map_selects(labels, on)) || selector.as_ref().is_some_and(|s| selects(s, on))
}
