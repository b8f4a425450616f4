//! How far back a query looks: its ranges and offsets.
//!
//! Read from the tokens, so it also works for what the parser does not know. Only literal ranges and offsets are added up: a
//! duration that is computed counts as nothing, and nested subqueries count as more than they look back.

use jiff::SignedDuration;

use super::lexer::{self, Kind};
use crate::api::duration;

/// The sum of the longest range and of all offsets and subquery ranges.
#[must_use]
pub fn lookback(query: &str) -> SignedDuration {
    let tokens = lexer::tokens(query).unwrap_or_default();
    let text = |at: usize| tokens.get(at).map_or("", |token| &query[token.span.clone()]);
    let (mut range, mut added) = (SignedDuration::ZERO, SignedDuration::ZERO);
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Number) {
        let length = length(&query[token.span.clone()]);
        match text(at.wrapping_sub(1)) {
            // A subquery's range begins where that of what it contains ends.
            "[" if text(at + 1) == ":" => added = added.saturating_add(length),
            "[" => range = range.max(length),
            word if word.eq_ignore_ascii_case("offset") => added = added.saturating_add(length),
            _ => {}
        }
    }
    range.saturating_add(added)
}

/// Prometheus has days, weeks and years, and takes a bare number as seconds.
fn length(text: &str) -> SignedDuration {
    if let Ok(seconds) = text.parse::<f64>() {
        return SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
    }
    let (mut sum, mut rest) = (SignedDuration::ZERO, text);
    while let Some(unit) = rest.find(|c: char| !c.is_ascii_digit()) {
        let end = rest[unit..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |digits| unit + digits);
        let days = |each: i64| {
            rest[..unit]
                .parse::<i64>()
                .ok()
                .map(|count| SignedDuration::from_hours(count.saturating_mul(24 * each).min(MANY)))
        };
        let piece = match &rest[unit..end] {
            "d" => days(1),
            "w" => days(7),
            "y" => days(365),
            _ => duration::parse(&rest[..end]).ok(),
        };
        sum = sum.saturating_add(piece.unwrap_or_default());
        rest = &rest[end..];
    }
    sum
}

/// Some hundred years, in hours.
const MANY: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_offsets_are_looked_back() {
        let cases = [
            ("up == 1", 0),
            ("rate(errors[1m]) / rate(all[5m]) < bool 0.01", 300),
            ("rate(errors[1m] offset 1h) > bool 5", 3660),
            ("rate(errors[1m] OFFSET 1h) > bool 5", 3660),
            ("max_over_time(rate(errors[1m])[10m:30s]) < bool 1", 660),
            ("rate(errors[1h30m]) < 1", 5400),
            ("rate(errors[1d]) < 1", 86_400),
            ("rate(errors[90]) < 1", 90),
            ("errors{path=\"[5m]\"} # [5m]\n < 1", 0),
            ("rate(errors[99999999999999w]) < 1", 3600 * MANY),
        ];
        for (query, seconds) in cases {
            assert_eq!(lookback(query), SignedDuration::from_secs(seconds), "{query}");
        }
    }
}
