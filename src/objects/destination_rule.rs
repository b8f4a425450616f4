//! Istio's DestinationRules, for the subsets of a host's pods that they name. They are never written.
//!
//! Whatever a spec is, it is read: what is not as expected names no subset.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    custom_resource,
    labels::Labels,
    object::{self, Object, prune_meta},
};

/// A DestinationRule of any namespace that the controller may read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DestinationRule {
    /// Name, namespace and age.
    #[serde(deserialize_with = "super::metadata::read")]
    pub metadata: ObjectMeta,
    /// What is read of its spec.
    #[serde(default)]
    pub spec: DestinationRuleSpec,
}

/// Which host a DestinationRule is for, for whom, and its subsets. A `trafficPolicy` says nothing about which pods there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", rename_all = "camelCase")]
pub struct DestinationRuleSpec {
    /// A short name, a full one, or a wildcard.
    pub host: String,
    /// The namespaces of the clients that it is for; empty is all.
    pub export_to: Vec<String>,
    /// Is it for some clients of a namespace only?
    pub workload_selector: bool,
    /// The subsets, in order.
    pub subsets: Vec<Subset>,
}

/// The pods of a host with these labels; without labels, all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subset {
    /// What routes call it.
    pub name: String,
    /// What its pods must have.
    pub labels: Labels,
}

impl From<Value> for DestinationRuleSpec {
    fn from(spec: Value) -> Self {
        let list = |field: &str| spec.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Self {
            host: spec.get("host").and_then(Value::as_str).unwrap_or_default().to_owned(),
            export_to: list("exportTo").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            workload_selector: spec.get("workloadSelector").is_some_and(|own| !own.is_null() && *own != false),
            subsets: list("subsets").iter().filter_map(subset).collect(),
        }
    }
}

/// One whose labels cannot be read may select any pods.
fn subset(subset: &Value) -> Option<Subset> {
    let name = subset.get("name").and_then(Value::as_str)?.to_owned();
    let labels = match subset.get("labels") {
        None | Some(Value::Null) => Labels::new(),
        Some(labels) => serde_json::from_value(labels.clone()).ok()?,
    };
    Some(Subset { name, labels })
}

custom_resource::custom_resource!(DestinationRule, "networking.istio.io", "v1", "destinationrules");

impl Object for DestinationRule {
    object::metadata!();

    fn prune(&mut self) {
        prune_meta(&mut self.metadata);
        self.metadata.owner_references = None;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_odd_spec_names_no_subset_and_a_dump_is_read_back() {
        for odd in [json!(null), json!("all"), json!({"host": 1, "subsets": {"v1": {}}}), json!({"subsets": [1, {}]})] {
            assert_eq!(DestinationRuleSpec::from(odd.clone()).subsets, [], "{odd}");
        }
        let spec = json!({"host": "web", "exportTo": ["."], "workloadSelector": {"matchLabels": {"app": "front"}}, "subsets": [
            {"name": "all"}, {"name": "v1", "labels": {"version": "v1"}}, {"name": "odd", "labels": {"version": 1}},
        ]});
        let read = DestinationRuleSpec::from(spec);
        let names: Vec<&str> = read.subsets.iter().map(|subset| subset.name.as_str()).collect();
        assert_eq!((read.host.as_str(), read.workload_selector, names), ("web", true, vec!["all", "v1"]));
        assert_eq!(DestinationRuleSpec::from(json!(read)), read);
    }
}
