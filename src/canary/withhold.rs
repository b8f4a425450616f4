//! Which labels of the template are withheld from the canary's pods, so that a pod is outside production from its first
//! moment.
//!
//! To remove a label later would be too late: the EndpointSlice controller has already seen the pod.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::smallest::{Clause, smallest};
use crate::{
    api::names,
    decision::Observed,
    decision::owned,
    objects::{Labels, Object, map_selects, selects},
};

/// The label keys that are withheld from the canary's pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Without them no Service and no base selects the pods.
    pub keys: BTreeSet<String>,
    /// What selects the pods even without any label, such as a base selector that only requires absence.
    pub unavoidable: Option<String>,
}

/// A Service, or the base, that may select a pod.
enum Claim<'a> {
    Service(&'a str, &'a Labels),
    Base(&'a str, &'a LabelSelector),
}

impl Claim<'_> {
    fn selects(&self, labels: &Labels) -> bool {
        match self {
            Claim::Service(_, selector) => map_selects(selector, labels),
            Claim::Base(_, selector) => selects(selector, labels),
        }
    }

    fn keys(&self) -> Vec<&String> {
        match self {
            Claim::Service(_, selector) => selector.keys().collect(),
            Claim::Base(_, selector) => {
                let expressions = selector.match_expressions.iter().flatten().map(|expression| &expression.key);
                selector.match_labels.iter().flat_map(|labels| labels.keys()).chain(expressions).collect()
            }
        }
    }

    /// What frees a pod with these labels from it, among the candidates. None: it does not select the pod whatever is withheld.
    fn clause(&self, labels: &Labels, candidates: &[&String]) -> Option<Clause> {
        if matches!(self, Claim::Service(_, selector) if selector.is_empty()) {
            return None;
        }
        let mut clause = Clause { by_absence: Vec::new(), by_presence: Vec::new() };
        for (key, is_kept, is_absent) in self.requirements(labels) {
            let index = candidates.binary_search(&key).ok();
            match (is_kept, is_absent, index) {
                (true, true, _) | (true, false, None) => {}
                (true, false, Some(index)) => clause.by_absence.push(index),
                (false, true, Some(index)) => clause.by_presence.push(index),
                (false, true, None) | (false, false, _) => return None,
            }
        }
        Some(clause)
    }

    /// Each requirement by itself: its key, whether it is met while the pod has its label of that key, and whether it is met
    /// without.
    fn requirements(&self, labels: &Labels) -> Vec<(&String, bool, bool)> {
        match self {
            Claim::Service(_, selector) => {
                selector.iter().map(|(key, value)| (key, labels.get(key) == Some(value), false)).collect()
            }
            Claim::Base(_, selector) => {
                let alone = |key, selector: &LabelSelector| {
                    let one: Labels = labels.get_key_value(key).into_iter().map(cloned).collect();
                    (key, selects(selector, &one), selects(selector, &Labels::new()))
                };
                let equal = selector.match_labels.iter().flatten().map(|(key, value)| {
                    let one = Labels::from([(key.clone(), value.clone())]);
                    alone(key, &LabelSelector { match_labels: Some(one), ..LabelSelector::default() })
                });
                let expressions = selector.match_expressions.iter().flatten().map(|expression| {
                    let one = LabelSelector { match_expressions: Some(vec![expression.clone()]), match_labels: None };
                    alone(&expression.key, &one)
                });
                equal.chain(expressions).collect()
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Claim::Service(name, _) => format!("Service {name}"),
            Claim::Base(name, _) => format!("the selector of Deployment {name}"),
        }
    }
}

/// The smallest set of keys without which nothing selects the pod; ties by alphabet. What is already withheld stays so
/// while that is enough, because another choice would replace all pods.
#[must_use]
pub fn withhold(seen: &Observed) -> Withheld {
    let mut labels = seen.kanary.spec.template.pod_labels();
    labels.insert(names::CANARY_LABEL.into(), owned::mark(&seen.kanary));
    let claims = claims(seen);
    let is_free = |keys: &BTreeSet<String>| !is_selected(&claims, &without(&labels, |key| keys.contains(key)));
    if let Some(keys) = recorded(seen).filter(&is_free) {
        return Withheld { keys, unavoidable: None };
    }
    let candidates = candidates(&claims, &labels);
    let clauses: Vec<Clause> = claims.iter().filter_map(|claim| claim.clause(&labels, &candidates)).collect();
    if let Some(keys) = smallest(candidates.len(), &clauses) {
        let keys = keys.into_iter().filter_map(|index| candidates.get(index)).map(|key| (*key).clone()).collect();
        return Withheld { keys, unavoidable: None };
    }
    let bare = without(&labels, |key| candidates.contains(&key));
    let culprit = selecting(&claims, &bare).or_else(|| selecting(&claims, &labels));
    Withheld { keys: BTreeSet::new(), unavoidable: culprit.map(Claim::name) }
}

fn cloned((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

fn selecting<'a, 'b>(claims: &'a [Claim<'b>], labels: &Labels) -> Option<&'a Claim<'b>> {
    claims.iter().find(|claim| claim.selects(labels))
}

fn is_selected(claims: &[Claim], labels: &Labels) -> bool {
    selecting(claims, labels).is_some()
}

fn without(labels: &Labels, is_withheld: impl Fn(&String) -> bool) -> Labels {
    let rest = labels.iter().filter(|(key, _)| !is_withheld(key));
    rest.map(cloned).collect()
}

/// The keys by which something selects the pod.
fn candidates<'a>(claims: &'a [Claim], labels: &Labels) -> Vec<&'a String> {
    let keys = claims.iter().filter(|claim| claim.selects(labels)).flat_map(Claim::keys);
    let keys: BTreeSet<&String> = keys.filter(|key| labels.contains_key(*key) && *key != names::CANARY_LABEL).collect();
    keys.into_iter().collect()
}

fn claims(seen: &Observed) -> Vec<Claim<'_>> {
    let services = seen
        .services
        .iter()
        .filter(|service| !service.spec.selector.contains_key(names::CANARY_LABEL))
        .map(|service| Claim::Service(service.name(), &service.spec.selector));
    services.chain(seen.base.as_deref().map(|base| Claim::Base(base.name(), &base.spec.selector))).collect()
}

fn recorded(seen: &Observed) -> Option<BTreeSet<String>> {
    let list = seen.own_canary()?.annotation(names::WITHHELD_LABELS)?;
    Some(list.split(',').map(str::to_owned).collect())
}
