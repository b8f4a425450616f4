//! What a plain word of YAML means to kubectl: version 1.1, as the library sigs.k8s.io/yaml resolves it. `0644` is octal,
//! `yes` is true, `40.0` is the whole number 40.

use serde_json::{Number, Value};

/// The value of a scalar without quotes and without a tag; an error is what follows the word in a message.
///
/// # Errors
/// JSON has no such number.
pub fn resolve(word: &str) -> Result<Value, String> {
    if let Some(value) = constant(word) {
        return Ok(value);
    }
    if is_infinite_or_nan(word) {
        return Err(format!("{word} is not a number in JSON; quote it if it is a text"));
    }
    let plain = word.replace('_', "");
    let value = match word.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-') => integer(&plain).or_else(|| float(&plain)),
        Some(b'.') => float(&plain),
        Some(_) | None => None,
    };
    Ok(value.unwrap_or_else(|| word.into()))
}

/// The text of a key, which in YAML may be any scalar.
///
/// # Errors
/// It is empty, or not a number in JSON.
pub fn key(word: &str) -> Result<String, String> {
    match resolve(word)? {
        Value::String(text) => Ok(text),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(_) if integer(&word.replace('_', "")).is_none() => Ok(short_float(&word.replace('_', ""))),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(format!("{word:?} as a key is null; quote it if it is a text"))
        }
    }
}

fn constant(word: &str) -> Option<Value> {
    Some(match word {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => true.into(),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => false.into(),
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => return None,
    })
}

fn is_infinite_or_nan(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(word, ".nan" | ".NaN" | ".NAN")
}

/// As Go reads an integer whose base follows from its prefix.
fn integer(plain: &str) -> Option<Value> {
    let (is_negative, unsigned) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits) = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| lower.strip_prefix(prefix).map(|digits| (radix, digits)))
        .or_else(|| lower.strip_prefix('0').filter(|rest| !rest.is_empty()).map(|digits| (8, digits)))
        .unwrap_or((10, &lower));
    // `from_str_radix` takes a second sign.
    if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    let number = if is_negative { -number } else { number };
    // A sign goes with 64 bits only.
    let is_signed = unsigned.len() < plain.len();
    let unsigned = u64::try_from(number).ok().filter(|_| !is_signed);
    i64::try_from(number).map(Value::from).ok().or_else(|| unsigned.map(Value::from))
}

/// A number with a point or an exponent. If it is whole, JSON has no point in it.
fn float(plain: &str) -> Option<Value> {
    let number = plain.parse::<f64>().ok().filter(|number| number.is_finite() && is_decimal(plain))?;
    // Go prints larger ones with an exponent, which is not an integer to the API server either.
    let whole = (number.fract() == 0.0 && number.abs() < 1e21).then(|| format!("{number:.0}"));
    let whole = whole.and_then(|digits| digits.parse::<i64>().map(Number::from).ok());
    whole.or_else(|| Number::from_f64(number)).map(Value::Number)
}

/// Digits, at most one point, and perhaps an exponent; Rust takes more, such as `inf`.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    has_digits && digits(whole) && digits(fraction) && !exponent.is_empty() && digits(exponent)
}

/// A key that is a float has the precision of 32 bits, and an exponent where Go's `%g` writes one.
fn short_float(plain: &str) -> String {
    let number: f32 = plain.parse().unwrap_or_default();
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        Ok(_) | Err(_) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What sigs.k8s.io/yaml v1.6.0 makes of each word, as a value and as a key.
    #[test]
    fn words_are_resolved_as_by_kubectl() {
        for (word, value, as_key) in [
            ("0644", json!(420), "420"),
            ("0o644", json!(420), "420"),
            ("0O644", json!(420), "420"),
            ("0400", json!(256), "256"),
            ("-0644", json!(-420), "-420"),
            ("00", json!(0), "0"),
            // Not octal digits, so a decimal float.
            ("08", json!(8), "8"),
            ("09.5", json!(9.5), "9.5"),
            ("0o8", json!("0o8"), "0o8"),
            ("0b101", json!(5), "5"),
            ("-0b11", json!(-3), "-3"),
            ("0x1F", json!(31), "31"),
            ("0x", json!("0x"), "0x"),
            ("0x+5", json!("0x+5"), "0x+5"),
            ("+12", json!(12), "12"),
            ("++12", json!("++12"), "++12"),
            ("1_000", json!(1000), "1000"),
            ("_1", json!("_1"), "_1"),
            ("1_0.5", json!(10.5), "10.5"),
            ("40.0", json!(40), "40"),
            ("40.", json!(40), "40"),
            (".5", json!(0.5), "0.5"),
            ("-.5", json!(-0.5), "-0.5"),
            (".", json!("."), "."),
            ("1e3", json!(1000), "1000"),
            ("1e", json!("1e"), "1e"),
            ("12345e6", json!(12_345_000_000_i64), "1.2345e+10"),
            ("1.10", json!(1.1), "1.1"),
            ("1.1.0", json!("1.1.0"), "1.1.0"),
            ("0.00001", json!(0.00001), "1e-05"),
            ("0.0001", json!(0.0001), "0.0001"),
            ("1234567.5", json!(1_234_567.5), "1.2345675e+06"),
            ("1e400", json!("1e400"), "1e400"),
            ("9223372036854775807", json!(i64::MAX), "9223372036854775807"),
            ("18446744073709551615", json!(u64::MAX), "18446744073709551615"),
            ("-9223372036854775808", json!(i64::MIN), "-9223372036854775808"),
            ("+9223372036854775808", json!(9_223_372_036_854_775_808.0), "9.223372e+18"),
            ("y", json!(true), "true"),
            ("yes", json!(true), "true"),
            ("On", json!(true), "true"),
            ("n", json!(false), "false"),
            ("OFF", json!(false), "false"),
            ("TRUE", json!(true), "true"),
            ("yEs", json!("yEs"), "yEs"),
            ("tRue", json!("tRue"), "tRue"),
            ("inf", json!("inf"), "inf"),
            ("nan", json!("nan"), "nan"),
            ("100m", json!("100m"), "100m"),
            ("1:30", json!("1:30"), "1:30"),
            ("2026-01-01", json!("2026-01-01"), "2026-01-01"),
            ("-", json!("-"), "-"),
            ("<<", json!("<<"), "<<"),
        ] {
            assert_eq!(resolve(word), Ok(value), "{word}");
            assert_eq!(key(word).as_deref(), Ok(as_key), "{word}");
        }
        for null in ["", "~", "null", "NULL"] {
            assert_eq!(resolve(null), Ok(Value::Null));
            assert!(key(null).is_err());
        }
        for word in [".inf", "-.Inf", ".NaN"] {
            assert!(resolve(word).is_err(), "{word}");
        }
    }
}
