//! `spec.validation`: how the canary is evaluated.

use std::{collections::BTreeMap, sync::LazyLock};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use strum::IntoStaticStr;

use super::prom_ql::PromQl;
use crate::api::{duration, schema};

/// How the canary is evaluated.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// Delay before the period, without Prometheus queries. Default: 0s.
    #[serde(default = "no_delay", with = "duration")]
    #[schemars(schema_with = "schema::duration_or_zero")]
    pub initial_delay: SignedDuration,
    /// How long the canary is evaluated. Default: 15m.
    #[serde(default = "quarter_of_an_hour", with = "duration")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub validation_period: SignedDuration,
    /// Maximum interval between two Prometheus queries of an item, at least 1s. Default: 20s.
    #[serde(default = "twenty_seconds", with = "duration")]
    #[schemars(schema_with = "schema::interval")]
    pub max_interval_period: SignedDuration,
    /// Evaluate the canary, but do not update the base.
    #[serde(default)]
    pub no_update: bool,
    /// When to remove the canary after success: when the rollout of the base has started, or is complete.
    /// Default: `rolloutStarted`.
    #[serde(default)]
    pub cleanup: Cleanup,
    /// How long the pods of a failed canary are kept, out of traffic, to be inspected. Default: 0s.
    #[serde(default = "no_delay", with = "duration")]
    #[schemars(schema_with = "schema::duration_or_zero")]
    pub keep_failed_for: SignedDuration,
    /// A manual verdict on the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<ManualOverride>,
    /// What must hold. Default: one manual item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(i, !has(i.name) || self.exists_one(j, has(j.name) && j.name == i.name))")
        .message("spec.validation.items: two items have the same name; names must be unique"))]
    pub items: Vec<Item>,
}

/// When the canary is removed after success.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Cleanup {
    #[default]
    RolloutStarted,
    RolloutComplete,
}

/// A manual verdict on the run, in a place that a merge patch can reach.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManualOverride {
    /// Verdict to assume at the deadline if none is set, for manual items that do not set their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_after_deadline: Option<DefaultStatus>,
    /// `invalid` fails the run; `valid` applies to every manual item without a status of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ManualStatus>,
    /// Reason; recorded in the status and in the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// The run that it is for. Default: the one in which it is first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// The template that it is for: `status.templateHash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub template_hash: Option<String>,
    /// The user who says so; it is not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "if_readable")]
    pub at: Option<Timestamp>,
}

/// No decision needs it, and the API server takes times that have no place here, such as those of the year 10000.
fn if_readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// What must hold: exactly one of `manual`, `labelWatch`, `promQL`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.manual), has(self.labelWatch), has(self.promQL)].filter(x, x).size() == 1")
    .message("spec.validation.items[]: set exactly one of manual, labelWatch, promQL"))]
#[x_kube(validation = Rule::new("!has(self.name) || !self.name.matches('^(manual|labelWatch|promQL)-[0-9]+$')")
    .message("spec.validation.items[].name: <kind>-<number> is reserved for items without a name; choose another"))]
pub struct Item {
    /// Unique name. Default: `<kind>-<index>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// A manual verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<Manual>,
    /// Labels that invalidate the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_watch: Option<LabelWatch>,
    /// A Prometheus query, and how to read its result.
    #[serde(default, rename = "promQL", skip_serializing_if = "Option::is_none")]
    pub prom_ql: Option<PromQl>,
}

/// A manual verdict on one item.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manual {
    /// Verdict to assume at the deadline if none is set; `none` keeps waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_after_deadline: Option<DefaultStatus>,
    /// The verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ManualStatus>,
    /// The run that it is for. Default: the one in which it is first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// The template that it is for: `status.templateHash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub template_hash: Option<String>,
}

/// Verdict to assume at the deadline if none is set.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
#[allow(missing_docs)]
pub enum DefaultStatus {
    #[default]
    None,
    Valid,
    Invalid,
}

impl DefaultStatus {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A manual verdict.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum ManualStatus {
    Valid,
    Invalid,
}

/// Labels that invalidate the canary.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.podInvalidationLabels) || has(self.deploymentInvalidationLabels) || has(self.podInvalidationSelector) || has(self.deploymentInvalidationSelector)")
    .message("spec.validation.items[].labelWatch: set at least one of podInvalidationLabels, deploymentInvalidationLabels, podInvalidationSelector, deploymentInvalidationSelector"))]
pub struct LabelWatch {
    /// A canary pod with all of these labels invalidates the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::labels")]
    pub pod_invalidation_labels: Option<BTreeMap<String, String>>,
    /// All of these labels on the canary Deployment invalidate the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::labels")]
    pub deployment_invalidation_labels: Option<BTreeMap<String, String>>,
    /// A canary pod that this selects invalidates the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub pod_invalidation_selector: Option<LabelSelector>,
    /// If this selects the canary Deployment, the canary is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub deployment_invalidation_selector: Option<LabelSelector>,
}

/// What kind of item it is; the schema guarantees exactly one.
#[derive(Clone, Copy, Debug, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
#[allow(missing_docs)]
pub enum ItemKind<'a> {
    Manual(&'a Manual),
    LabelWatch(&'a LabelWatch),
    #[strum(serialize = "promQL")]
    PromQl(&'a PromQl),
}

impl Item {
    /// The kind that is set. An item with none reads as manual.
    #[must_use]
    pub fn kind(&self) -> ItemKind<'_> {
        const SILENT: &Manual = &Manual { status_after_deadline: None, status: None, run: None, template_hash: None };
        match (&self.label_watch, &self.prom_ql) {
            (Some(watch), _) => ItemKind::LabelWatch(watch),
            (None, Some(query)) => ItemKind::PromQl(query),
            (None, None) => ItemKind::Manual(self.manual.as_ref().unwrap_or(SILENT)),
        }
    }
}

impl ItemKind<'_> {
    /// As the field is spelled.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }
}

impl Validation {
    /// The items, with their names. Without items there is one manual item.
    #[must_use]
    pub fn named_items(&self) -> Vec<(String, &Item)> {
        static MANUAL: LazyLock<[Item; 1]> =
            LazyLock::new(|| [Item { manual: Some(Manual::default()), ..Item::default() }]);
        let items = if self.items.is_empty() { MANUAL.as_slice() } else { &self.items };
        let name =
            |index, item: &Item| item.name.clone().unwrap_or_else(|| format!("{}-{index}", item.kind().as_str()));
        items.iter().enumerate().map(|(index, item)| (name(index, item), item)).collect()
    }
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            initial_delay: no_delay(),
            keep_failed_for: no_delay(),
            validation_period: quarter_of_an_hour(),
            max_interval_period: twenty_seconds(),
            no_update: false,
            cleanup: Cleanup::default(),
            manual: None,
            items: Vec::new(),
        }
    }
}

fn no_delay() -> SignedDuration {
    SignedDuration::ZERO
}

fn quarter_of_an_hour() -> SignedDuration {
    SignedDuration::from_mins(15)
}

fn twenty_seconds() -> SignedDuration {
    SignedDuration::from_secs(20)
}
