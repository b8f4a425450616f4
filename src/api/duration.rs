//! Durations as Kubernetes users write them: `15m`, `1h30m`, `90s`.
//!
//! kube's own type panics on absurd lengths; jiff's parser answers with an error, but takes units in one order only.

use jiff::{
    SignedDuration,
    fmt::friendly::{Designator, Spacing, SpanPrinter},
};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes a duration the way Go prints it: `1h30m`.
#[must_use]
pub fn print(duration: SignedDuration) -> String {
    SpanPrinter::new().designator(Designator::Compact).spacing(Spacing::None).duration_to_string(&duration)
}

/// For `#[serde(with = "duration")]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&print(*duration))
}

/// For `#[serde(with = "duration")]`.
///
/// # Errors
/// Not a duration, or longer than some 292 years.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// As Go takes it, and so the API server: units in any order, each as often as one likes, and with fractions.
///
/// # Errors
/// Not a duration, or longer than some 292 years.
pub fn parse(text: &str) -> Result<SignedDuration, jiff::Error> {
    let mut sum = SignedDuration::ZERO;
    let mut rest = text;
    loop {
        let unit = rest.find(char::is_alphabetic).unwrap_or(rest.len());
        let end = rest[unit..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |length| unit + length);
        let (piece, more) = rest.split_at(end);
        sum = sum.saturating_add(piece.parse()?);
        if more.is_empty() {
            return Ok(sum);
        }
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_come_back_as_written() {
        for text in ["15m", "1h30m", "90s", "0s", "1500ms", "1.5h", "0.000000001s"] {
            let parsed = parse(text).expect(text);
            assert_eq!(parse(&print(parsed)).expect("printed"), parsed, "{text}");
        }
        assert_eq!(print(SignedDuration::from_mins(90)), "1h30m");
    }

    #[test]
    fn whatever_go_takes_is_taken() {
        for (text, seconds) in [("30m1h", 5400), ("1.5h30m", 7200), ("1m1m", 120), ("1s0.5m1000ms", 32)] {
            assert_eq!(parse(text).expect(text), SignedDuration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn absurd_lengths_are_errors() {
        for text in ["99999999999999999999h", "1e400s", "", "m", "15 parsecs", "1h2", "ä"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
