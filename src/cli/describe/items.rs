//! Each validation item with its result: query, value, bound, verdict.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::{
    api::{DefaultStatus, Item, ItemKind, ItemStatus, KanaryDeployment, LabelWatch, PromQl},
    objects::Labels,
};

/// One validation item, side by side with its result.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Its name.
    pub name: String,
    /// What it requires.
    pub item: Item,
    /// Its result; nothing before the run starts.
    pub status: Option<ItemStatus>,
    /// The verdict at the deadline for manual items that do not set their own.
    pub default: Option<DefaultStatus>,
}

/// All of them, in the order of the spec.
#[must_use]
pub fn all(kanary: &KanaryDeployment) -> Vec<Evaluated> {
    let results = kanary.status.iter().flat_map(|status| &status.items);
    let of = |name: &str| results.clone().find(|status| status.name == name).cloned();
    let checks = kanary.spec.validation.named_items().into_iter();
    let default = kanary.spec.validation.manual.as_ref().and_then(|manual| manual.status_after_deadline);
    checks.map(|(name, item)| Evaluated { status: of(&name), name, item: item.clone(), default }).collect()
}

impl Evaluated {
    /// The condition for a valid verdict.
    #[must_use]
    pub fn bound(&self) -> String {
        match self.item.kind() {
            ItemKind::Manual(manual) => approval(manual.status_after_deadline.or(self.default)),
            ItemKind::LabelWatch(watch) => labels_of(watch),
            ItemKind::PromQl(query) => condition(query),
        }
    }

    /// The query: as it was sent, else as it is written.
    #[must_use]
    pub fn query(&self) -> Option<String> {
        let sent = self.status.as_ref().and_then(|status| status.query.clone());
        let written = match self.item.kind() {
            ItemKind::PromQl(query) => Some(query.query.trim().to_owned()),
            ItemKind::Manual(_) | ItemKind::LabelWatch(_) => None,
        };
        sent.or(written)
    }
}

fn approval(default: Option<DefaultStatus>) -> String {
    let default = match default.unwrap_or_default() {
        DefaultStatus::None => "no deadline",
        DefaultStatus::Valid => "valid at the deadline if there is none",
        DefaultStatus::Invalid => "invalid at the deadline if there is none",
    };
    format!("manual approval, {default}")
}

fn labels_of(watch: &LabelWatch) -> String {
    let parts = [
        watch.pod_invalidation_labels.as_ref().map(|labels| format!("no pod has {}", pairs(labels))),
        watch.pod_invalidation_selector.as_ref().map(|of| format!("no pod matches {}", selector(of))),
        watch
            .deployment_invalidation_labels
            .as_ref()
            .map(|labels| format!("the Deployment does not have {}", pairs(labels))),
        watch
            .deployment_invalidation_selector
            .as_ref()
            .map(|of| format!("the Deployment does not match {}", selector(of))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn pairs(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn selector(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().map(pairs);
    let expressions = selector.match_expressions.iter().flatten().map(|expression| {
        let values = expression.values.as_ref().map(|values| format!(" ({})", values.join(","))).unwrap_or_default();
        format!("{} {}{values}", expression.key, expression.operator)
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

fn condition(query: &PromQl) -> String {
    let bound = if let Some(range) = &query.value_in_range {
        format!("every value is between {} and {}", range.min, range.max)
    } else if let Some(deviation) = &query.continuous_value_deviation {
        format!("no value deviates from the mean by more than {} %", deviation.max_deviation_percent)
    } else if let Some(discrete) = &query.discrete_value_out_of_list {
        let list = match discrete.good_values.is_empty() {
            true => format!("{} is one of {}", discrete.key, discrete.bad_values.join(", ")),
            false => format!("{} is not one of {}", discrete.key, discrete.good_values.join(", ")),
        };
        format!("at most {} % of the samples, where {list}", discrete.tolerance_percent)
    } else {
        "the query returns true".to_owned()
    };
    match query.failure_limit {
        0 => bound,
        1 => format!("{bound}; tolerates 1 failure"),
        limit => format!("{bound}; tolerates {limit} failures"),
    }
}
