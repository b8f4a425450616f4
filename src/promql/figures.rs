//! Numbers as a person reads them: few digits, and in percent where they are shares.

use super::lexer;

/// How a value lies to its bound.
#[derive(Clone, Copy)]
pub enum Relation {
    /// Over a maximum.
    Above,
    /// Not over a maximum.
    AtMost,
    /// Not under a minimum.
    AtLeast,
    /// Under a minimum.
    Below,
}

impl Relation {
    fn symbol(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtMost => "<=",
            Self::AtLeast => ">=",
            Self::Below => "<",
        }
    }

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Above => value > bound,
            Self::AtMost => value <= bound,
            Self::AtLeast => value >= bound,
            Self::Below => value < bound,
        }
    }
}

/// `24.5 % > 1 %`. The value has three digits, and more only if what is printed would not be true otherwise.
pub fn comparison(value: f64, relation: Relation, bound: f64, is_share: bool) -> String {
    let (scale, unit) = if is_share { (100.0, " %") } else { (1.0, "") };
    let limit = rounded(bound * scale, 15);
    let is_true = |text: &String| match (text.parse(), limit.parse()) {
        (Ok(value), Ok(bound)) => relation.holds(value, bound),
        (Ok(_) | Err(_), _) => false,
    };
    let text = (3..17).map(|digits| rounded(value * scale, digits)).find(is_true);
    let text = text.unwrap_or_else(|| rounded(value * scale, 17));
    format!("{text}{unit} {} {limit}{unit}", relation.symbol())
}

/// This many significant digits, but never fewer than there are before the point.
fn rounded(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor();
    if !(-6.0..15.0).contains(&magnitude) {
        return format!("{value:e}");
    }
    let decimals = usize::try_from(digits - 1 - magnitude as i32).unwrap_or_default();
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Units of what Prometheus counts, as its naming conventions want them at the end of a metric's name, and what is a share
/// of nothing.
const UNITS: [&str; 9] = ["seconds", "bytes", "celsius", "meters", "grams", "joules", "volts", "amperes", "quantile"];

/// Is it a part of a whole? A quotient is, if its bounds lie between 0 and 1, it does so itself, and the query names no other
/// unit. A wrong unit would be worse than none.
pub fn is_share(query: &str, bounds: [f64; 2], value: f64) -> bool {
    let is_part = |number: &f64| (0.0..=1.0).contains(number);
    let is_quotient = lexer::divides(query) || query.contains("ratio");
    is_quotient && bounds.iter().chain([&value]).all(is_part) && !UNITS.iter().any(|unit| query.contains(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_three_digits_unless_more_are_needed() {
        let cases = [
            (0.245_207_055_214_723_94, Relation::Above, 0.01, true, "24.5 % > 1 %"),
            (0.010_001, Relation::Above, 0.01, true, "1.0001 % > 1 %"),
            (0.01, Relation::AtMost, 0.01, true, "1 % <= 1 %"),
            (0.0, Relation::AtMost, 0.07, true, "0 % <= 7 %"),
            (0.949_99, Relation::Below, 0.95, true, "94.999 % < 95 %"),
            (0.999_51, Relation::AtMost, 0.9996, false, "0.9995 <= 0.9996"),
            (310.4, Relation::Above, 310.0, false, "310.4 > 310"),
            (123_456.7, Relation::Above, 100_000.0, false, "123457 > 100000"),
            (-0.5, Relation::Below, 0.0, false, "-0.5 < 0"),
            (1e308, Relation::AtMost, 1e308, false, "1e308 <= 1e308"),
            (2.5e-9, Relation::Above, 0.0, false, "2.5e-9 > 0"),
            (0.1 + 0.2, Relation::Above, 0.3, false, "0.30000000000000004 > 0.3"),
        ];
        for (value, relation, bound, is_share, expected) in cases {
            assert_eq!(comparison(value, relation, bound, is_share), expected);
        }
    }

    #[test]
    fn a_share_is_a_quotient_without_another_unit() {
        let cases = [
            ("sum(rate(errors_total[1m])) / sum(rate(requests_total[1m]))", [0.0, 0.01], 0.5, true),
            ("job:errors:ratio", [0.0, 0.01], 0.5, true),
            ("errors{path=\"/a\"} # a / b", [0.0, 1.0], 0.5, false),
            ("a / b", [0.0, 2.0], 0.5, false),
            ("a / b", [0.0, 1.0], 1.5, false),
            ("rate(x_seconds_sum[1m]) / rate(x_seconds_count[1m])", [0.0, 0.5], 0.3, false),
            ("histogram_quantile(0.99, x) / 1000", [0.0, 0.5], 0.3, false),
        ];
        for (query, bounds, value, expected) in cases {
            assert_eq!(is_share(query, bounds, value), expected, "{query}");
        }
    }
}
