//! The text of a query as tokens, as Prometheus reads it: raw strings in backticks, numbers with underscores, durations.
//!
//! Whatever is no token of Prometheus is one of no kind, because dialects have more of them. Refused is only what ends
//! nowhere, and an escape sequence that no server knows.

use std::ops::Range;

/// Part of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where.
    pub span: Range<usize>,
    /// What.
    pub kind: Kind,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or a keyword.
    Word,
    /// A number or a duration.
    Number,
    /// A string, with its quotes.
    Text,
    /// An operator, a bracket, or what separates.
    Symbol,
    /// Nothing that Prometheus knows.
    Other,
}

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where.
    pub at: usize,
    /// One sentence.
    pub why: String,
}

/// The longer ones first.
const SYMBOLS: [&str; 28] = [
    "==", "!=", "<=", ">=", "</", ">/", "=~", "!~", "(", ")", "[", "]", "{", "}", ",", ":", "+", "-", "*", "/", "%",
    "^", "<", ">", "=", "@", "!", ";",
];

/// The tokens, without comments.
///
/// # Errors
/// A string has no end, or an escape sequence that does not exist.
pub fn tokens(query: &str) -> Result<Vec<Token>, Unreadable> {
    let (mut tokens, mut at, mut in_brackets) = (Vec::new(), 0, false);
    while let Some(c) = query[at..].chars().next() {
        let rest = &query[at..];
        let (kind, length) = match c {
            c if c.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            '#' => {
                at += rest.find(['\n', '\r']).unwrap_or(rest.len());
                continue;
            }
            '"' | '\'' | '`' => (Kind::Text, text(rest, c).map_err(|why| why.after(at))?),
            c if c.is_ascii_digit() || c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                (Kind::Number, number(rest))
            }
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' && !in_brackets => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' && !in_brackets;
                (Kind::Word, rest.find(|c| !is_part(c)).unwrap_or(rest.len()))
            }
            c => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => (Kind::Symbol, symbol.len()),
                None => (Kind::Other, c.len_utf8()),
            },
        };
        in_brackets = c == '[' || in_brackets && c != ']';
        tokens.push(Token { span: at..at + length, kind });
        at += length;
    }
    Ok(tokens)
}

impl Unreadable {
    fn after(self, at: usize) -> Self {
        Self { at: self.at + at, ..self }
    }
}

/// How long the string is that begins here. Between backticks nothing is escaped.
fn text(rest: &str, quote: char) -> Result<usize, Unreadable> {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => {
                if !is_escape(c, quote) {
                    let why = format!("unknown escape sequence \\{c}; write \\\\{c}, or put the string in backticks");
                    return Err(Unreadable { at, why });
                }
                is_escaped = false;
            }
            '\\' if quote != '`' => is_escaped = true,
            '\n' if quote != '`' => break,
            c if c == quote => return Ok(at + 1),
            _ => {}
        }
    }
    Err(Unreadable { at: 0, why: format!("the string that begins with {quote} has no end; close it") })
}

fn is_escape(c: char, quote: char) -> bool {
    c == quote || c == '\\' || "abfnrtvxuU01234567".contains(c)
}

/// How long the number or duration is that begins here: `1_000`, `0x1f`, `5e-3`, `1h30m`. What is none is one token too.
fn number(rest: &str) -> usize {
    let is_hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
    let mut before = ' ';
    let end = rest.find(|c: char| {
        let is_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !is_hexadecimal;
        before = c;
        !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || is_sign)
    });
    end.unwrap_or(rest.len())
}

/// The value of a number or of a duration in seconds, if it is one.
pub fn value(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(|value| value as f64);
    }
    plain.parse().ok().or_else(|| duration(&lower))
}

fn duration(text: &str) -> Option<f64> {
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let units = [
            ("ms", 0.001),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3600.0),
            ("d", 86_400.0),
            ("w", 604_800.0),
            ("y", 31_536_000.0),
        ];
        let (unit, length) = units.into_iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        seconds += rest[..digits].parse::<f64>().ok()? * length;
        rest = &rest[digits + unit.len()..];
    }
    Some(seconds)
}

/// How many operators and parentheses it has: the tree is never deeper.
pub fn operator_count(query: &str, tokens: &[Token]) -> usize {
    let mut in_braces = false;
    let counts = |token: &&Token| {
        let text = &query[token.span.clone()];
        in_braces = text == "{" || in_braces && text != "}";
        let is_set = |word: &str| ["and", "or", "unless", "atan2"].iter().any(|set| word.eq_ignore_ascii_case(set));
        !in_braces
            && match token.kind {
                Kind::Word => is_set(text),
                Kind::Symbol => !matches!(text, ")" | "]" | "}" | "," | ":" | "@"),
                Kind::Number | Kind::Text | Kind::Other => false,
            }
    };
    tokens.iter().filter(counts).count()
}

/// Does it divide?
pub fn divides(query: &str) -> bool {
    let is = |token: &Token| &query[token.span.clone()] == "/";
    tokens(query).is_ok_and(|tokens| tokens.iter().any(is))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Vec<&str> {
        tokens(query).expect(query).into_iter().map(|token| &query[token.span]).collect()
    }

    #[test]
    fn it_reads_as_prometheus_does() {
        let cases: [(&str, &[&str]); 9] = [
            ("a{b=~`web-\\d+`}", &["a", "{", "b", "=~", "`web-\\d+`", "}"]),
            (
                "a{b=\"(\",c!~'x\\'}'} # (\n+ b:c",
                &["a", "{", "b", "=", "\"(\"", ",", "c", "!~", "'x\\'}'", "}", "+", "b:c"],
            ),
            ("x[5m:30s]", &["x", "[", "5m", ":", "30s", "]"]),
            ("1_000<=1e-3+0x1f-5.", &["1_000", "<=", "1e-3", "+", "0x1f", "-", "5."]),
            ("1h30m</ .5>/ 2", &["1h30m", "</", ".5", ">/", "2"]),
            ("a<bool-1", &["a", "<", "bool", "-", "1"]),
            ("0x1e-1", &["0x1e", "-", "1"]),
            ("a$ä", &["a", "$", "ä"]),
            ("#\r1", &["1"]),
        ];
        for (query, expected) in cases {
            assert_eq!(read(query), expected, "{query}");
        }
    }

    #[test]
    fn a_string_ends_and_escapes_what_can_be() {
        for (query, at) in [("a \"b\nc\"", 2), ("'a", 0), ("`a", 0), ("\"\\", 0), ("a{b=~\"\\d\"}", 7)] {
            assert_eq!(tokens(query).expect_err(query).at, at, "{query}");
        }
        assert_eq!(read("\"\\\"\\x41\\u0041\\7\"").len(), 1);
    }

    #[test]
    fn numbers_and_durations_have_a_value() {
        let cases = [
            ("1_000", Some(1000.0)),
            ("0x1F", Some(31.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e-3", Some(0.001)),
            ("1m30s", Some(90.0)),
            ("5ms", Some(0.005)),
            ("5mm", None),
            ("1Ki", None),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn operators_and_parentheses_are_counted() {
        let cases = [
            ("sum(a)", 1),
            ("a{b=\"(\",c!~'('} # (((\n+ (b)", 2),
            ("a{b=`\\`} + 1", 1),
            ("a OR b unless on(c) d atan2 order", 4),
            ("a{or=\"x\" or c=\"y\"}", 0),
            ("-(-1)", 3),
        ];
        for (query, expected) in cases {
            assert_eq!(operator_count(query, &tokens(query).expect(query)), expected, "{query}");
        }
    }
}
