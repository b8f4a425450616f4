//! All that is known of the cluster: one store a kind.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch::Sender;

use super::store::Store;
use crate::{
    api::KanaryDeployment,
    decision::{Absence, Kind},
    objects::{
        Autoscaler, Deployment, DestinationRule, HTTPRoute, Listed, Object, Pod, PodSelector, Service, Unavailable,
        VirtualService,
    },
};

/// How long the first list of the routes is waited for.
const ROUTES_TIMEOUT: Duration = Duration::from_secs(30);
/// Older gaps of a kind than this many were accounted for long ago.
const MOST_GAPS: usize = 32;

/// Kinds that only warnings name: group, version, kind, and whether every cluster has it.
pub const POD_SELECTORS: [(&str, &str, &str, bool); 4] = [
    ("policy", "v1", "PodDisruptionBudget", true),
    ("networking.k8s.io", "v1", "NetworkPolicy", true),
    ("security.istio.io", "v1", "PeerAuthentication", false),
    ("security.istio.io", "v1", "AuthorizationPolicy", false),
];

/// The stores.
#[derive(Default)]
pub struct Stores {
    pub kanaries: Store<KanaryDeployment>,
    pub deployments: Store<Deployment>,
    pub pods: Store<Pod>,
    pub services: Store<Service>,
    pub autoscalers: Store<Autoscaler>,
    pub virtual_services: RouteStore<VirtualService>,
    pub http_routes: RouteStore<HTTPRoute>,
    pub destination_rules: RouteStore<DestinationRule>,
    /// In the order of [`POD_SELECTORS`]: each list of a kind replaces a store of its own.
    pub pod_selectors: [Store<PodSelector>; POD_SELECTORS.len()],
    /// When a watch that every canary depends on was broken.
    pub gaps: WatchGaps,
}

impl Stores {
    /// Waits for the first full list of each kind that decisions depend on.
    pub async fn synced(&self) {
        self.kanaries.synced().await;
        self.deployments.synced().await;
        self.pods.synced().await;
        self.services.synced().await;
        self.autoscalers.synced().await;
        // A list that the API server cannot give must not delay the canaries that have nothing to do with routes.
        let routes = async {
            tokio::join!(self.virtual_services.settled(), self.http_routes.settled(), self.destination_rules.settled())
        };
        let _ = tokio::time::timeout(ROUTES_TIMEOUT, routes).await;
    }

    /// Is there a full list of each?
    pub fn is_synced(&self) -> bool {
        self.kanaries.is_synced()
            && self.deployments.is_synced()
            && self.pods.is_synced()
            && self.services.is_synced()
            && self.autoscalers.is_synced()
    }

    /// Did the watches that a verdict depends on report anything since then?
    pub fn heard_since(&self, then: Timestamp) -> bool {
        self.deployments.heard_since(then) && self.pods.heard_since(then)
    }

    /// How many objects of each kind cannot be read.
    pub fn unreadable(&self) -> Vec<(&'static str, usize)> {
        let mut counts = vec![
            (Kind::KanaryDeployment.as_str(), self.kanaries.unreadable_count()),
            (Kind::Deployment.as_str(), self.deployments.unreadable_count()),
            (Kind::Pod.as_str(), self.pods.unreadable_count()),
            (Kind::Service.as_str(), self.services.unreadable_count()),
            (Kind::HorizontalPodAutoscaler.as_str(), self.autoscalers.unreadable_count()),
            (Kind::VirtualService.as_str(), self.virtual_services.store.unreadable_count()),
            (Kind::HTTPRoute.as_str(), self.http_routes.store.unreadable_count()),
            ("DestinationRule", self.destination_rules.store.unreadable_count()),
        ];
        counts
            .extend(POD_SELECTORS.iter().zip(&self.pod_selectors).map(|(of, store)| (of.2, store.unreadable_count())));
        counts
    }

    /// Since when is one of the watches broken?
    pub fn watch_broken_since(&self) -> Option<Timestamp> {
        let lost = [
            self.kanaries.lost_since(),
            self.deployments.lost_since(),
            self.pods.lost_since(),
            self.services.lost_since(),
            self.autoscalers.lost_since(),
        ];
        lost.into_iter().flatten().min()
    }
}

/// When watches were broken, oldest first; all tasks were woken after each.
#[derive(Default)]
pub struct WatchGaps(Mutex<Vec<Absence>>);

impl WatchGaps {
    /// All of them.
    pub fn all(&self) -> Vec<Absence> {
        self.0.lock().clone()
    }

    pub fn record(&self, gap: Absence) {
        let mut gaps = self.0.lock();
        if gaps.len() >= MOST_GAPS {
            gaps.remove(0);
        }
        gaps.push(gap);
    }
}

/// The routes of one kind, which a cluster may not have, or not let the controller read.
pub struct RouteStore<K> {
    pub store: Store<K>,
    /// When their watch was broken.
    pub gaps: WatchGaps,
    unavailable: Sender<Option<Unavailable>>,
}

impl<K> Default for RouteStore<K> {
    fn default() -> Self {
        Self {
            store: Store::default(),
            gaps: WatchGaps::default(),
            unavailable: Sender::new(Some(Unavailable::Loading)),
        }
    }
}

impl<K: Object + Clone> RouteStore<K> {
    /// All of them, or why they are not known.
    pub fn known(&self) -> Listed<K> {
        match *self.unavailable.borrow() {
            None => Listed::All(self.store.all()),
            Some(why) => Listed::Not(why),
        }
    }

    /// Are all of them known?
    pub fn is_known(&self) -> bool {
        self.unavailable.borrow().is_none()
    }

    /// Waits until it is known what there is, or why that is not known.
    pub async fn settled(&self) {
        // The sender lives in self: waiting cannot fail.
        let _ = self.unavailable.subscribe().wait_for(|why| *why != Some(Unavailable::Loading)).await;
    }

    /// Since when is its watch broken, if it is?
    pub fn lost_since(&self) -> Option<Timestamp> {
        self.store.lost_since()
    }

    /// Sets why they are not known, or that they are; did that change?
    pub fn set(&self, unavailable: Option<Unavailable>) -> bool {
        self.unavailable.send_if_modified(|now| std::mem::replace(now, unavailable) != unavailable)
    }
}
