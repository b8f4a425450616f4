//! All that a decision may depend on, time included. A dump of it replays the decision.
//!
//! Not here: how it is gathered (`controller::observe`), or what follows from it (`lifecycle::plan`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use jiff::Timestamp;
use kube::Resource;
use serde::{Deserialize, Serialize};

use super::{Kind, Subsets};
use crate::{
    api::{CanaryStatus, KanaryDeployment, KanaryDeploymentStatus, names},
    objects::{
        Autoscaler, Deployment, DeploymentSpec, HTTPRoute, Listed, Object, Pod, PodSelector, PodTemplate, Service,
        Unreadable, VirtualService, map_selects,
    },
    promql::{EgressPolicy, QueryHistory},
};

/// The most uids that are recorded: a Deployment, an autoscaler, a VirtualService, and Services under former names.
const MOST_UIDS: usize = 16;

/// The state around one `KanaryDeployment`, as last observed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observed {
    /// The time of the decision.
    pub now: Timestamp,
    /// The resource, with the status that is persisted.
    pub kanary: Arc<KanaryDeployment>,
    /// The Deployment of the base's name.
    pub base: Option<Arc<Deployment>>,
    /// The Deployments that are no canaries, while there is no base.
    #[serde(default)]
    pub neighbours: Vec<Arc<Deployment>>,
    /// The Deployment with the canary's name, whatever client created it.
    pub canary: Option<Arc<Deployment>>,
    /// The pods with the canary's label.
    pub pods: Vec<Arc<Pod>>,
    /// The Services of the namespace that matter, according to [`services_of`].
    pub services: Vec<Arc<Service>>,
    /// All HorizontalPodAutoscalers of the namespace.
    pub autoscalers: Vec<Arc<Autoscaler>>,
    /// What else selects pods in the namespace.
    pub pod_selectors: Vec<Arc<PodSelector>>,
    /// Names of the pods in the production Service's EndpointSlices. None: they are not watched yet.
    pub endpoints: Option<BTreeSet<String>>,
    /// The routes of a mesh; only while traffic is mirrored, or was.
    pub routes: Routes,
    /// What of a mesh names subsets of production's pods, with every source.
    #[serde(default)]
    pub subsets: Subsets,
    /// When no controller watched, oldest first.
    pub absences: Vec<Absence>,
    /// A watch is broken since then, so the observation may be stale.
    pub watch_broken_since: Option<Timestamp>,
    /// Are the canary and its pods known to be current, and not from a watch that may hang?
    pub is_fresh: bool,
    /// Was just read from the API server that what is to be created is absent? A watch may be behind.
    #[serde(default)]
    pub is_absence_confirmed: bool,
    /// The result of the last dry run of the promotion.
    pub dry_run: Option<DryRun>,
    /// The queries to Prometheus and their results, by name of the item.
    #[serde(default)]
    pub answers: BTreeMap<String, QueryHistory>,
    /// Where queries may go.
    #[serde(default)]
    pub prometheus: EgressPolicy,
    /// The children that this process has written, by kind: what they were made from, and what the API server stored.
    #[serde(default)]
    pub stored: BTreeMap<Kind, String>,
    /// What failed when the last plan was executed.
    pub faults: Vec<Fault>,
    /// The objects that this run needs and that cannot be read: they are there, whatever else the observation lacks.
    #[serde(default)]
    pub unreadable: Vec<Unreadable>,
}

/// Which Services matter to a canary: those of the names that it has for them, its own, and whatever selects pods of its
/// base or would select a pod of its template.
pub fn services_of(kanary: &KanaryDeployment, base: Option<&Deployment>) -> impl Fn(&Service) -> bool {
    let of_base = base.map(|base| base.spec.template.labels.clone()).unwrap_or_default();
    let mut labels = kanary.spec.template.pod_labels();
    labels.insert(names::CANARY_LABEL.into(), kanary.name().to_owned());
    let (production, own) = (kanary.spec.service_name.clone(), names::kanary_service(kanary));
    let uid = kanary.uid().to_owned();
    move |service| {
        let is_named = Some(service.name()) == production.as_deref() || service.name() == own;
        let selector = &service.spec.selector;
        is_named || map_selects(selector, &labels) || map_selects(selector, &of_base) || service.is_owned_by(&uid)
    }
}

/// The routes of a mesh.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Routes {
    /// The cluster's domain, such as `cluster.local`: what short names are completed with.
    pub domain: String,
    /// Of all namespaces that may be read.
    pub virtual_services: Listed<VirtualService>,
    /// Of all namespaces that may be read.
    pub http_routes: Listed<HTTPRoute>,
    /// Were those of the namespace just read from the API server, so that nothing is on its way to the store?
    pub is_fresh: bool,
}

/// A period in which no controller watched, or one of its watches was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// The last sign of life before.
    pub from: Timestamp,
    /// The first full view after.
    pub until: Timestamp,
}

/// A dry run of the promotion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DryRun {
    /// Hash of the user's template that was tried.
    pub template_hash: String,
    /// Hash of the base's pod template that it was tried on.
    pub base_hash: String,
    /// When it was requested.
    pub at: Timestamp,
    /// The base's pod template after it, or why the API server refuses it.
    pub outcome: Result<PodTemplate, String>,
    /// Would it change anything of the base's spec?
    #[serde(default)]
    pub changes: bool,
}

impl DryRun {
    /// What a dry run shows of the base as it was `before`.
    #[must_use]
    pub fn of(
        template_hash: String,
        base_hash: String,
        at: Timestamp,
        before: Option<&DeploymentSpec>,
        after: Result<DeploymentSpec, String>,
    ) -> Self {
        let changes = after.as_ref().is_ok_and(|after| Some(after) != before);
        Self { template_hash, base_hash, at, outcome: after.map(|spec| spec.template), changes }
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The request, such as `create Deployment web-kanary`.
    pub action: String,
    /// The error of the API server.
    pub error: String,
}

impl Observed {
    /// A resource in an empty cluster.
    #[must_use]
    pub fn around(kanary: Arc<KanaryDeployment>, now: Timestamp) -> Self {
        Self {
            now,
            kanary,
            base: None,
            neighbours: Vec::new(),
            canary: None,
            pods: Vec::new(),
            services: Vec::new(),
            autoscalers: Vec::new(),
            pod_selectors: Vec::new(),
            endpoints: None,
            routes: Routes::default(),
            subsets: Subsets::default(),
            absences: Vec::new(),
            watch_broken_since: None,
            is_fresh: true,
            is_absence_confirmed: true,
            dry_run: None,
            answers: BTreeMap::new(),
            prometheus: EgressPolicy::default(),
            stored: BTreeMap::new(),
            faults: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// The persisted status.
    #[must_use]
    pub fn status(&self) -> &KanaryDeploymentStatus {
        static NONE: LazyLock<KanaryDeploymentStatus> = LazyLock::new(KanaryDeploymentStatus::default);
        self.kanary.status.as_ref().unwrap_or(&NONE)
    }

    /// Is a watch broken, so that what is observed may be stale?
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.watch_broken_since.is_some()
    }

    /// What the persisted status says of the canary.
    #[must_use]
    pub fn canary_status(&self) -> Option<&CanaryStatus> {
        self.status().canary.as_ref()
    }

    /// Did this `KanaryDeployment` make the object? Backup tools and people remove owner references, so the uid counts, too.
    #[must_use]
    pub fn is_ours<K: Object>(&self, object: &K) -> bool {
        let is_recorded = || {
            let mut recorded = self.canary_status().into_iter().flat_map(|canary| &canary.uids);
            recorded.any(|uid| uid == object.uid())
        };
        object.is_controlled_by(self.kanary.uid()) || is_recorded()
    }

    /// The dry run of this very template on this very base.
    #[must_use]
    pub fn fitting_dry_run(&self) -> Option<&DryRun> {
        let (dry_run, base) = self.dry_run.as_ref().zip(self.base.as_deref())?;
        let fits =
            dry_run.base_hash == base.spec.template.hash && dry_run.template_hash == self.kanary.spec.template.hash();
        fits.then_some(dry_run)
    }

    /// The base, unless it is being deleted.
    #[must_use]
    pub fn live_base(&self) -> Option<&Deployment> {
        self.base.as_deref().filter(|base| !base.is_terminating())
    }

    /// Why the object of this kind and name cannot be read, if it cannot.
    #[must_use]
    pub fn unreadable<K: Resource<DynamicType = ()>>(&self, name: &str) -> Option<&Unreadable> {
        self.unreadable.iter().find(|why| why.kind == K::kind(&()) && why.name == name)
    }

    /// Why the resource itself cannot be read. What it requests is not known then.
    #[must_use]
    pub fn unreadable_itself(&self) -> Option<&Unreadable> {
        self.unreadable::<KanaryDeployment>(self.kanary.name())
    }

    /// Why the base cannot be read.
    #[must_use]
    pub fn unreadable_base(&self) -> Option<&Unreadable> {
        self.unreadable::<Deployment>(&names::base(&self.kanary))
    }

    /// The canary Deployment, if it is ours.
    #[must_use]
    pub fn own_canary(&self) -> Option<&Deployment> {
        self.canary.as_deref().filter(|deployment| self.is_ours(*deployment))
    }

    /// The production Service.
    #[must_use]
    pub fn service(&self) -> Option<&Service> {
        self.service_named(self.kanary.spec.service_name.as_deref()?)
    }

    /// A Service by name.
    #[must_use]
    pub fn service_named(&self, name: &str) -> Option<&Service> {
        self.services.iter().map(AsRef::as_ref).find(|service| service.name() == name)
    }

    /// The Services that we made, under whatever name but production's.
    pub fn own_services(&self) -> impl Iterator<Item = &Service> {
        let is_not_production = |service: &&Service| Some(service.name()) != self.kanary.spec.service_name.as_deref();
        self.services.iter().map(AsRef::as_ref).filter(is_not_production).filter(|service| self.is_ours(*service))
    }

    /// The VirtualServices that we made.
    pub fn own_virtual_services(&self) -> impl Iterator<Item = &VirtualService> {
        let is_home = |route: &&VirtualService| route.namespace() == self.kanary.namespace();
        self.routes.virtual_services.iter().filter(is_home).filter(|route| self.is_ours(*route))
    }

    /// The HorizontalPodAutoscaler of the canary's name, whoever made it.
    #[must_use]
    pub fn autoscaler(&self) -> Option<&Autoscaler> {
        let name = names::canary(&self.kanary);
        self.autoscalers.iter().map(AsRef::as_ref).find(|autoscaler| autoscaler.name() == name)
    }

    /// The canary's HorizontalPodAutoscaler, if it is ours.
    #[must_use]
    pub fn own_autoscaler(&self) -> Option<&Autoscaler> {
        self.autoscaler().filter(|autoscaler| self.is_ours(*autoscaler))
    }

    /// A HorizontalPodAutoscaler that scales the base.
    #[must_use]
    pub fn base_autoscaler(&self) -> Option<&Autoscaler> {
        let base = names::base(&self.kanary);
        self.autoscalers
            .iter()
            .map(AsRef::as_ref)
            .find(|autoscaler| autoscaler.spec.deployment.as_deref() == Some(&base))
    }

    /// Canary pods that are here to stay.
    pub fn live_pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().map(AsRef::as_ref).filter(|pod| !pod.is_terminating())
    }

    /// What the API server stored of a child when it was written last, as far as is known.
    #[must_use]
    pub fn recorded(&self, kind: Kind) -> Option<&str> {
        let persisted = || {
            let canary = self.canary_status()?;
            match kind {
                Kind::Deployment => canary.deployment_hash.as_deref(),
                Kind::HorizontalPodAutoscaler => canary.hpa_hash.as_deref(),
                Kind::Service | Kind::Pod | Kind::VirtualService | Kind::HTTPRoute | Kind::KanaryDeployment => None,
            }
        };
        self.stored.get(&kind).map(String::as_str).or_else(persisted)
    }

    /// The uids of all that we made and that is there, in order. What others declare ours is bounded.
    #[must_use]
    pub fn own_uids(&self) -> Vec<String> {
        let canary = self.own_canary().into_iter().map(Object::uid);
        let autoscaler = self.own_autoscaler().into_iter().map(Object::uid);
        let services = self.own_services().map(Object::uid);
        let routes = self.own_virtual_services().map(Object::uid);
        let mut uids: Vec<_> = canary.chain(autoscaler).chain(services).chain(routes).map(str::to_owned).collect();
        uids.sort_unstable();
        uids.truncate(MOST_UIDS);
        uids
    }

    /// `namespace/name`, for messages.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.kanary.namespace(), self.kanary.name())
    }
}
