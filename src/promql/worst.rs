//! The sample that decides: the worst of all, by the measure of an analyser.

use super::outcome::{About, Evidence, Outcome};

/// Of all samples that are numbers the worst; of several that are as bad, the last.
pub fn worst_by<'a, 'b: 'a>(
    samples: impl Iterator<Item = &'a About<'b>>,
    badness: impl Fn(f64) -> f64,
) -> Option<&'a About<'b>> {
    let numbers = samples.filter(|about| about.sample.value.is_finite());
    numbers.max_by(|one, other| badness(one.sample.value).total_cmp(&badness(other.sample.value)))
}

/// If the worst is bad, that is certain; that it is good only if every sample is a number.
pub fn conclude(is_good: bool, samples: &[About<'_>], evidence: Evidence) -> Outcome {
    match (is_good, samples.iter().all(|about| about.sample.value.is_finite())) {
        (false, _) => Outcome::False(evidence),
        (true, true) => Outcome::True(evidence),
        (true, false) => Outcome::not_finite(),
    }
}
