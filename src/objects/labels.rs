//! Labels, and what selects by them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};

/// Labels, as on any object.
pub type Labels = BTreeMap<String, String>;

/// Does the selector select these labels? An unreadable one selects nothing, as on the API server.
#[must_use]
pub fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}

/// Does this map of labels, as a Service has it, select these labels? An empty one selects nothing.
#[must_use]
pub fn map_selects(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
