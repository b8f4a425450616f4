//! Names, labels and annotations: how the controller's own objects are named and recognized.

use super::KanaryDeployment;

/// On everything that belongs to a canary, pods included: the name of its `KanaryDeployment`.
pub const CANARY_LABEL: &str = "kanary.k8s.io/canary";
/// On the objects that the controller creates: the hash of the desired object. It detects keys that were removed.
pub const APPLIED_HASH: &str = "kanary.k8s.io/applied-hash";
/// On the canary Deployment: the pod labels that are kept from its template, so that no Service selects its pods.
pub const WITHHELD_LABELS: &str = "kanary.k8s.io/withheld-labels";
/// On a canary pod that is or was in production: the label keys that put it there now.
pub const PRODUCTION_LABELS: &str = "kanary.k8s.io/production-labels";
/// On the base: `<KD uid>/<run>/<templateHash>` of the run that promoted it.
pub const PROMOTED_BY: &str = "kanary.k8s.io/promoted-by";
/// On a base that the controller created: the uid of the `KanaryDeployment` that had none.
pub const CREATED_BY: &str = "kanary.k8s.io/created-by";
/// On a `KanaryDeployment` while a user's route may contain an entry of ours; released when the entry is gone.
pub const MIRROR_FINALIZER: &str = "kanary.k8s.io/mirror";
/// On a Secret: only one with this label is sent. To name it in a `KanaryDeployment` is not enough.
pub const PROMETHEUS_LABEL: &str = "kanary.k8s.io/prometheus";
/// Name of the Lease of the leader election.
pub const LEASE: &str = "kanary";
/// On the Lease: when no controller watched.
pub const ABSENCES: &str = "kanary.k8s.io/absences";
/// What `kubectl rollout history` shows.
pub const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// The Deployment controller's own count of pod templates.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// The field manager and the reporting controller of everything that the controller writes.
pub const MANAGER: &str = "kanary";
/// Every annotation of ours begins so.
pub const PREFIX: &str = "kanary.k8s.io/";

fn own(kanary: &KanaryDeployment) -> &str {
    kanary.metadata.name.as_deref().unwrap_or_default()
}

/// The base Deployment.
#[must_use]
pub fn base(kanary: &KanaryDeployment) -> String {
    let spec = &kanary.spec;
    spec.deployment_name.as_deref().or_else(|| spec.template.name()).unwrap_or_else(|| own(kanary)).to_owned()
}

/// The canary Deployment, and the HorizontalPodAutoscaler that scales it.
#[must_use]
pub fn canary(kanary: &KanaryDeployment) -> String {
    format!("{}-kanary", own(kanary))
}

/// The VirtualService that the controller creates where the user has none.
#[must_use]
pub fn virtual_service(kanary: &KanaryDeployment) -> String {
    canary(kanary)
}

/// The Service that selects only canary pods.
#[must_use]
pub fn kanary_service(kanary: &KanaryDeployment) -> String {
    kanary.spec.traffic.kanary_service.clone().unwrap_or_else(|| canary(kanary))
}
