//! Which labels of the template are withheld from the canary's pods, so that a pod is outside production from its first
//! moment.
//!
//! To remove a label later would be too late: the EndpointSlice controller has already seen the pod.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::{
    api::names,
    decision::Observed,
    decision::owned,
    objects::{Labels, Object, map_selects, selects},
};

/// More candidate keys than this are tried one by one instead of in all combinations.
const MOST_COMBINED: usize = 12;

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
    if let Some(keys) = smallest(&candidates, is_free) {
        return Withheld { keys, unavoidable: None };
    }
    let bare = without(&labels, |key| candidates.contains(&key));
    let culprit = selecting(&claims, &bare).or_else(|| selecting(&claims, &labels));
    Withheld { keys: BTreeSet::new(), unavoidable: culprit.map(Claim::name) }
}

fn selecting<'a, 'b>(claims: &'a [Claim<'b>], labels: &Labels) -> Option<&'a Claim<'b>> {
    claims.iter().find(|claim| claim.selects(labels))
}

fn is_selected(claims: &[Claim], labels: &Labels) -> bool {
    selecting(claims, labels).is_some()
}

fn without(labels: &Labels, is_withheld: impl Fn(&String) -> bool) -> Labels {
    let rest = labels.iter().filter(|(key, _)| !is_withheld(key));
    rest.map(|(key, value)| (key.clone(), value.clone())).collect()
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

/// The first set that is enough, in order of size, then of alphabet.
fn smallest(candidates: &[&String], free: impl Fn(&BTreeSet<String>) -> bool) -> Option<BTreeSet<String>> {
    if candidates.len() > MOST_COMBINED {
        return one_by_one(candidates, free);
    }
    let set = |mask: u32| -> BTreeSet<String> {
        candidates.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, key)| (*key).clone()).collect()
    };
    let mut sets: Vec<BTreeSet<String>> = (0..1 << candidates.len()).map(set).collect();
    sets.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    sets.into_iter().find(free)
}

/// All keys, except each one that turns out not to be needed.
fn one_by_one(candidates: &[&String], free: impl Fn(&BTreeSet<String>) -> bool) -> Option<BTreeSet<String>> {
    let mut keys: BTreeSet<String> = candidates.iter().map(|key| (*key).clone()).collect();
    for key in candidates {
        keys.remove(*key);
        if !free(&keys) {
            keys.insert((*key).clone());
        }
    }
    free(&keys).then_some(keys)
}
