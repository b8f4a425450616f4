//! The smallest set of keys that frees from all claims: exact where that is cheap, and without a superfluous key always.
//!
//! To find the smallest set is as hard as the claims are tangled, and who writes Services chooses these. So the search has a
//! budget, and beyond it each key that is not needed is left out, one after another, in a time that grows with the claims only.

use std::collections::BTreeSet;

/// One claim on a pod. Keys are numbered in the order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    /// To withhold any of these frees from it.
    pub by_absence: Vec<usize>,
    /// To keep any of these frees from it.
    pub by_presence: Vec<usize>,
}

/// How often a search looks at a claim, at most: some milliseconds.
const BUDGET: usize = 1_000_000;
/// More keys than a set of bits has are not searched.
const MOST_KEYS: usize = 128;

/// The first set that frees from all claims, in order of size, then of preference; beyond the budget one without a
/// superfluous key. None, if there is no such set.
pub(super) fn smallest(keys: usize, clauses: &[Clause]) -> Option<Vec<usize>> {
    let is_hopeless = |clause: &Clause| clause.by_absence.is_empty() && clause.by_presence.is_empty();
    if clauses.iter().any(is_hopeless) {
        return None;
    }
    let searched = if keys <= MOST_KEYS { Search::of(keys, clauses).run() } else { Err(OverBudget) };
    searched.unwrap_or_else(|OverBudget| one_by_one(keys, clauses))
}

/// The search would take too long.
struct OverBudget;

/// Sets of keys are bits.
struct Search {
    keys: usize,
    /// Only absence frees from these. None contains another.
    plain: Vec<u128>,
    /// Presence frees from these, too: by absence, by presence.
    mixed: Vec<(u128, u128)>,
    budget: usize,
}

impl Search {
    fn of(keys: usize, clauses: &[Clause]) -> Self {
        let bits = |keys: &[usize]| keys.iter().fold(0, |bits, key| bits | 1_u128 << key);
        let (plain, mixed): (Vec<_>, Vec<_>) = clauses.iter().partition(|clause| clause.by_presence.is_empty());
        let mut all: Vec<u128> = plain.into_iter().map(|clause| bits(&clause.by_absence)).collect();
        all.sort_unstable_by_key(|clause| (clause.count_ones(), *clause));
        all.dedup();
        let (mut plain, mut budget) = (Vec::<u128>::new(), BUDGET);
        for clause in all {
            // One that contains another is met with it. Not to notice costs time, and nothing else.
            let looks = plain.len().min(budget);
            budget -= looks;
            if !plain[..looks].iter().any(|smaller| smaller & clause == *smaller) {
                plain.push(clause);
            }
        }
        let mixed = mixed.iter().map(|clause| (bits(&clause.by_absence), bits(&clause.by_presence))).collect();
        Self { keys, plain, mixed, budget }
    }

    /// The sets of each size, from the smallest on.
    fn run(mut self) -> Result<Option<Vec<usize>>, OverBudget> {
        for size in 0..=self.keys {
            if let Some(found) = self.extend(0, 0, size)? {
                return Ok(Some((0..self.keys).filter(|key| found >> key & 1 == 1).collect()));
            }
        }
        Ok(None)
    }

    /// The first set of so many keys more, from this key on.
    fn extend(&mut self, chosen: u128, from: usize, more: usize) -> Result<Option<u128>, OverBudget> {
        self.budget = self.budget.checked_sub(self.plain.len() + 1).ok_or(OverBudget)?;
        let rest = if from < MOST_KEYS { u128::MAX << from } else { 0 };
        // No two of these have a key in common, so each needs a key of its own.
        let (mut disjoint, mut needed, mut last) = (0, 0, self.keys);
        for open in self.plain.iter().filter(|clause| *clause & chosen == 0).map(|clause| clause & rest) {
            if open == 0 {
                return Ok(None);
            }
            last = last.min(MOST_KEYS - open.leading_zeros() as usize);
            if open & disjoint == 0 {
                (disjoint, needed) = (disjoint | open, needed + 1);
            }
        }
        if needed > more {
            return Ok(None);
        }
        if more == 0 {
            let is_met = |(absent, present): &(u128, u128)| absent & chosen != 0 || present & !chosen != 0;
            return Ok(self.mixed.iter().all(is_met).then_some(chosen));
        }
        for key in from..last {
            if let Some(found) = self.extend(chosen | 1 << key, key + 1, more - 1)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// All keys, except each one that turns out not to be needed.
fn one_by_one(keys: usize, clauses: &[Clause]) -> Option<Vec<usize>> {
    let by_absence = || clauses.iter().map(|clause| &clause.by_absence).filter(|absent| !absent.is_empty());
    let mut freed_by: Vec<usize> = by_absence().map(Vec::len).collect();
    let mut needing = vec![Vec::new(); keys];
    for (index, absent) in by_absence().enumerate() {
        absent.iter().for_each(|key| needing[*key].push(index));
    }
    let is_kept = |key: &usize| {
        let is_superfluous = needing[*key].iter().all(|index| freed_by[*index] > 1);
        if is_superfluous {
            needing[*key].iter().for_each(|index| freed_by[*index] -= 1);
        }
        !is_superfluous
    };
    let set: BTreeSet<usize> = (0..keys).filter(is_kept).collect();
    let is_met = |clause: &Clause| {
        clause.by_absence.iter().any(|key| set.contains(key)) || clause.by_presence.iter().any(|key| !set.contains(key))
    };
    clauses.iter().all(is_met).then(|| set.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frees(set: &[usize], clauses: &[Clause]) -> bool {
        clauses.iter().all(|clause| {
            clause.by_absence.iter().any(|key| set.contains(key))
                || clause.by_presence.iter().any(|key| !set.contains(key))
        })
    }

    /// All sets, in order.
    fn tried_all(keys: usize, clauses: &[Clause]) -> Option<Vec<usize>> {
        let set = |bits: u32| -> Vec<usize> { (0..keys).filter(|key| bits >> key & 1 == 1).collect() };
        let mut sets: Vec<_> = (0..1 << keys).map(set).collect();
        sets.sort_by_key(|set| (set.len(), set.clone()));
        sets.into_iter().find(|set| frees(set, clauses))
    }

    fn clauses(keys: usize, most: usize, mixed: bool) -> impl Strategy<Value = Vec<Clause>> {
        let some = move || proptest::collection::btree_set(0..keys, 1..=4.min(keys));
        let present = proptest::collection::btree_set(0..keys, 0..=usize::from(mixed));
        proptest::collection::vec((some(), present), 0..most).prop_map(|clauses| {
            let clause = |(absent, present): (BTreeSet<_>, BTreeSet<_>)| Clause {
                by_absence: absent.into_iter().collect(),
                by_presence: present.into_iter().collect(),
            };
            clauses.into_iter().map(clause).collect()
        })
    }

    proptest! {
        #[test]
        fn it_is_the_smallest(clauses in (1_usize..9).prop_flat_map(|keys| (Just(keys), clauses(keys, 12, true)))) {
            let (keys, clauses) = clauses;
            prop_assert_eq!(smallest(keys, &clauses), tried_all(keys, &clauses));
        }

        #[test]
        fn beyond_the_budget_no_key_is_superfluous(clauses in clauses(12, 30, false)) {
            let set = one_by_one(12, &clauses).expect("all keys free from all");
            prop_assert!(frees(&set, &clauses));
            for key in &set {
                let fewer: Vec<_> = set.iter().copied().filter(|other| other != key).collect();
                prop_assert!(!frees(&fewer, &clauses), "{} of {:?} is superfluous", key, set);
            }
        }
    }

    /// What a tenant may choose: a thousand labels, and a Service for each pair of neighbours. This ends at all only because
    /// the search has a budget.
    #[test]
    fn however_tangled_the_claims_are_there_is_an_answer() {
        for keys in [60, 120, 1000] {
            let pair = |step: usize| {
                move |key: usize| Clause { by_absence: vec![key, (key * step + 7) % keys], by_presence: Vec::new() }
            };
            let tangled: Vec<_> = (0..keys).map(pair(13)).chain((0..keys).map(pair(29))).collect();
            let set = smallest(keys, &tangled).expect("all keys free from all");
            assert!(frees(&set, &tangled) && set.len() < keys);
        }
    }
}
