//! What each validation asks for, and what it says: query, value, bound, verdict.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::{
    api::{Check, DefaultStatus, Item, ItemStatus, KanaryDeployment, LabelWatch, PromQl},
    objects::Labels,
};

/// One validation, side by side with its verdict.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub item: Item,
    /// What it says; nothing before the run begins.
    pub status: Option<ItemStatus>,
    /// What silence means for manual items that do not say it themselves.
    pub silence: Option<DefaultStatus>,
}

/// All of them, in the order of the spec.
#[must_use]
pub fn all(kanary: &KanaryDeployment) -> Vec<Judged> {
    let said = kanary.status.iter().flat_map(|status| &status.items);
    let of = |name: &str| said.clone().find(|status| status.name == name).cloned();
    let checks = kanary.spec.validation.checks().into_iter();
    let silence = kanary.spec.validation.manual.as_ref().and_then(|manual| manual.status_after_deadline);
    checks.map(|(name, item)| Judged { status: of(&name), name, item: item.clone(), silence }).collect()
}

impl Judged {
    /// What must hold, in words.
    #[must_use]
    pub fn bound(&self) -> String {
        match self.item.check() {
            Check::Manual(manual) => silence(manual.status_after_deadline.or(self.silence)),
            Check::LabelWatch(watch) => labels_of(watch),
            Check::PromQl(query) => answer(query),
        }
    }

    /// The query: as it was sent, else as it is written.
    #[must_use]
    pub fn query(&self) -> Option<String> {
        let sent = self.status.as_ref().and_then(|status| status.query.clone());
        let written = match self.item.check() {
            Check::PromQl(query) => Some(query.query.trim().to_owned()),
            Check::Manual(_) | Check::LabelWatch(_) => None,
        };
        sent.or(written)
    }
}

fn silence(silence: Option<DefaultStatus>) -> String {
    let silence = match silence.unwrap_or_default() {
        DefaultStatus::None => "waits for that as long as it takes",
        DefaultStatus::Valid => "silence at the deadline means valid",
        DefaultStatus::Invalid => "silence at the deadline means invalid",
    };
    format!("a person says valid; {silence}")
}

fn labels_of(watch: &LabelWatch) -> String {
    let parts = [
        watch.pod_invalidation_labels.as_ref().map(|labels| format!("no pod has {}", pairs(labels))),
        watch.pod_invalidation_selector.as_ref().map(|of| format!("no pod is selected by {}", selector(of))),
        watch.deployment_invalidation_labels.as_ref().map(|labels| format!("the Deployment has not {}", pairs(labels))),
        watch
            .deployment_invalidation_selector
            .as_ref()
            .map(|of| format!("the Deployment is not selected by {}", selector(of))),
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

fn answer(query: &PromQl) -> String {
    let bound = if let Some(range) = &query.value_in_range {
        format!("every value is between {} and {}", range.min, range.max)
    } else if let Some(deviation) = &query.continuous_value_deviation {
        format!("no value is more than {} % away from the mean", deviation.max_deviation_percent)
    } else if let Some(discrete) = &query.discrete_value_out_of_list {
        let list = match discrete.good_values.is_empty() {
            true => format!("{} is one of {}", discrete.key, discrete.bad_values.join(", ")),
            false => format!("{} is none of {}", discrete.key, discrete.good_values.join(", ")),
        };
        format!("at most {} % where {list}", discrete.tolerance_percent)
    } else {
        "the answer is true".to_owned()
    };
    match query.failure_limit {
        0 => bound,
        limit => format!("{bound}; forgives {limit}"),
    }
}
