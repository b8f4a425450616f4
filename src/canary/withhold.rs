//! Which pod labels the canary's template must not carry, so that a pod is outside production from its first moment.
//!
//! A label that is patched away later comes too late: the EndpointSlice controller has already seen the pod.

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
    /// The keys.
    pub keys: BTreeSet<String>,
    /// What selects the pods even without any label, such as a base selector that only asks for absence.
    pub unavoidable: Option<String>,
}

/// A Service or the base that would take a pod for its own.
enum Claim<'a> {
    Service(&'a str, &'a Labels),
    Base(&'a LabelSelector),
}

impl Claim<'_> {
    fn takes(&self, labels: &Labels) -> bool {
        match self {
            Claim::Service(_, selector) => map_selects(selector, labels),
            Claim::Base(selector) => selects(selector, labels),
        }
    }

    fn keys(&self) -> Vec<&String> {
        match self {
            Claim::Service(_, selector) => selector.keys().collect(),
            Claim::Base(selector) => {
                let expressions = selector.match_expressions.iter().flatten().map(|expression| &expression.key);
                selector.match_labels.iter().flat_map(|labels| labels.keys()).chain(expressions).collect()
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Claim::Service(name, _) => format!("Service {name}"),
            Claim::Base(_) => "the base's selector".into(),
        }
    }
}

/// The smallest set of keys without which nothing takes the pod; ties by alphabet. What is already withheld stays so
/// while it serves, for a new choice would make new pods.
#[must_use]
pub fn withhold(seen: &Observed) -> Withheld {
    let mut labels = seen.kanary.spec.template.pod_labels();
    labels.insert(names::CANARY_LABEL.into(), owned::mark(&seen.kanary));
    let claims = claims(seen);
    let free = |keys: &BTreeSet<String>| {
        let rest: Labels =
            labels.iter().filter(|(key, _)| !keys.contains(*key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        claims.iter().find(|claim| claim.takes(&rest)).is_none()
    };
    if let Some(keys) = recorded(seen).filter(&free) {
        return Withheld { keys, unavoidable: None };
    }
    let candidates: BTreeSet<&String> = claims
        .iter()
        .filter(|claim| claim.takes(&labels))
        .flat_map(Claim::keys)
        .filter(|key| labels.contains_key(*key) && *key != names::CANARY_LABEL)
        .collect();
    let candidates: Vec<&String> = candidates.into_iter().collect();
    if let Some(keys) = smallest(&candidates, free) {
        return Withheld { keys, unavoidable: None };
    }
    let bare: Labels =
        labels.iter().filter(|(key, _)| !candidates.contains(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let culprit = claims.iter().find(|claim| claim.takes(&bare)).or_else(|| claims.iter().find(|c| c.takes(&labels)));
    Withheld { keys: BTreeSet::new(), unavoidable: culprit.map(Claim::name) }
}

fn claims(seen: &Observed) -> Vec<Claim<'_>> {
    let services = seen
        .services
        .iter()
        .filter(|service| !service.spec.selector.contains_key(names::CANARY_LABEL))
        .map(|service| Claim::Service(service.name(), &service.spec.selector));
    services.chain(seen.base.as_deref().map(|base| Claim::Base(&base.spec.selector))).collect()
}

fn recorded(seen: &Observed) -> Option<BTreeSet<String>> {
    let list = seen.own_canary()?.annotation(names::WITHHELD_LABELS)?;
    Some(list.split(',').map(str::to_owned).collect())
}

/// The first set that serves, in order of size, then of alphabet.
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

/// All keys, less each one that turns out not to be needed.
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
