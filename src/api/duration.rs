//! Durations as Kubernetes users write them: `15m`, `1h30m`, `90s`.
//!
//! kube's own type panics on absurd lengths; jiff's parser answers with an error.

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
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_come_back_as_written() {
        for text in ["15m", "1h30m", "90s", "0s", "1500ms", "1.5h"] {
            let parsed: SignedDuration = text.parse().expect(text);
            assert_eq!(print(parsed).parse::<SignedDuration>().expect("printed"), parsed, "{text}");
        }
        assert_eq!(print(SignedDuration::from_mins(90)), "1h30m");
    }

    #[test]
    fn absurd_lengths_are_errors() {
        for text in ["99999999999999999999h", "1e400s", "", "m", "15 parsecs"] {
            assert!(text.parse::<SignedDuration>().is_err(), "{text}");
        }
    }
}
