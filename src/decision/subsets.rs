//! What of a mesh names subsets of production's pods: observed with every source, and only where a DestinationRule names one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::objects::{DestinationRule, VirtualService};

/// DestinationRules of production's Services, and routes to subsets. Empty if there are none, and if they are not known: a
/// controller that may not read them does not wait for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subsets {
    /// The cluster's domain, such as `cluster.local`: what short names are completed with.
    pub domain: String,
    /// Those that name subsets, at least of production's Services; of all namespaces that may be read.
    pub destination_rules: Vec<Arc<DestinationRule>>,
    /// Those with a route to a subset; of all namespaces that may be read.
    pub virtual_services: Vec<Arc<VirtualService>>,
}
