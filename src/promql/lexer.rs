//! The text of a query without what is in its strings and comments: enough to measure it before it is parsed.
//!
//! It reads as the parser's own lexer does, escapes in backticks included: what is a string to one and not to the other
//! would evade the limits.

/// A character that is code.
struct CodeChar {
    at: usize,
    is: char,
    /// Among the matchers of a selector.
    in_braces: bool,
}

#[derive(Clone, Copy)]
enum State {
    Code,
    Comment,
    Text(char),
    Escape(char),
}

fn code_chars(query: &str) -> impl Iterator<Item = CodeChar> {
    let (mut state, mut in_braces) = (State::Code, false);
    query.char_indices().filter_map(move |(at, is)| {
        let before = state;
        state = after(before, is);
        let is_code = matches!((before, state), (State::Code, State::Code));
        in_braces = is_code && is == '{' || in_braces && !(is_code && is == '}');
        is_code.then_some(CodeChar { at, is, in_braces })
    })
}

fn after(state: State, c: char) -> State {
    match (state, c) {
        (State::Code, '#') => State::Comment,
        (State::Code, '"' | '\'' | '`') => State::Text(c),
        (State::Comment, '\n' | '\r') => State::Code,
        (State::Text(quote), '\\') => State::Escape(quote),
        (State::Text(quote), c) if c == quote => State::Code,
        (State::Escape(quote), _) => State::Text(quote),
        (state, _) => state,
    }
}

/// How many operators and parentheses it has: the tree is never larger in any direction.
pub fn operator_count(query: &str) -> usize {
    let (mut count, mut word) = (0, String::new());
    let is_set = |word: &str| ["and", "or", "unless", "atan2"].iter().any(|set| word.eq_ignore_ascii_case(set));
    let mut end = 0;
    for char in code_chars(query).filter(|char| !char.in_braces) {
        // What is between two letters, such as a string, ends a word.
        if char.at != end || !is_of_word(char.is) {
            count += usize::from(is_set(&word));
            word.clear();
        }
        end = char.at + char.is.len_utf8();
        if is_of_word(char.is) {
            word.push(char.is);
        }
        count += usize::from("(+-*/%^=!<>".contains(char.is));
    }
    count + usize::from(is_set(&word))
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Does it divide?
pub fn divides(query: &str) -> bool {
    code_chars(query).any(|char| char.is == '/' && !char.in_braces)
}

/// Where comparison operators end.
pub fn comparisons(template: &str) -> Vec<usize> {
    let code: Vec<CodeChar> = code_chars(template).filter(|char| !char.in_braces).collect();
    let follows = |one: &CodeChar, other: &CodeChar| one.at + 1 == other.at;
    let mut ends = Vec::new();
    for (index, char) in code.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| code.get(index)).filter(|before| follows(before, char));
        let next = code.get(index + 1).filter(|next| follows(char, next)).map(|next| next.is);
        match (before.map(|before| before.is), char.is, next) {
            (Some('=' | '!' | '<' | '>'), '=', _) => ends.push(char.at + 1),
            (_, '<' | '>', next) if next != Some('=') => ends.push(char.at + 1),
            _ => {}
        }
    }
    ends
}

/// The query with `=` for `=~`, and `!=` for `!~`. Everything stays in its place.
pub fn without_regexes(query: &str) -> String {
    let mut bytes = query.as_bytes().to_vec();
    for tilde in code_chars(query).filter(|char| char.in_braces && char.is == '~' && char.at > 0) {
        match bytes[tilde.at - 1] {
            b'=' => bytes[tilde.at] = b' ',
            b'!' => bytes[tilde.at] = b'=',
            _ => {}
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use promql_parser::parser::{self, Expr};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_and_comments_are_no_code() {
        let cases = [
            ("sum(a)", 1),
            ("a{b=\"(\",c!~'(('} # (((\n+ (b)", 2),
            ("a{b=`\\`(`} + 1", 1),
            ("a OR b unless on(c) d atan2 order", 4),
            ("a{or=\"x\" or c=\"y\"}", 0),
            ("or", 1),
            ("-(-1)", 3),
        ];
        for (query, expected) in cases {
            assert_eq!(operator_count(query), expected, "{query}");
        }
    }

    #[test]
    fn comparisons_end_where_bool_may_stand() {
        let cases: [(&str, &[usize]); 5] = [
            ("a < 1", &[3]),
            ("a>=1", &[3]),
            ("a==b!=c", &[3, 6]),
            ("a{b!=\"<\",c>\"\"} # <\n<=2", &[21]),
            ("a{{x}} > 1", &[8]),
        ];
        for (query, expected) in cases {
            assert_eq!(comparisons(query), expected, "{query}");
        }
    }

    #[test]
    fn no_regular_expression_is_left() {
        let query = "a{b=~\"=~\",c!~'!~' , d =~`\\`=~`} ==~ 1 # {=~";
        assert_eq!(without_regexes(query), "a{b= \"=~\",c!='!~' , d = `\\`=~`} ==~ 1 # {=~");
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of promql-parser, and grows")]
    fn depth(tree: &Expr) -> usize {
        1 + match tree {
            Expr::Paren(inner) => depth(&inner.expr),
            Expr::Unary(inner) => depth(&inner.expr),
            Expr::Binary(binary) => depth(&binary.lhs).max(depth(&binary.rhs)),
            _ => 0,
        }
    }

    /// What is hard to distinguish from code, in every place where it may be.
    fn query() -> impl Strategy<Value = String> {
        let text = prop_oneof![
            r#""([a(#{}~'`]|\\["\\]){0,4}""#,
            r#"'([a(#{}~"`]|\\['\\]){0,4}'"#,
            r#"`([a(#{}~"']|\\[`\\]){0,4}`"#,
        ];
        let gap = prop_oneof![Just(String::new()), Just(" ".into()), "#[\"'`(){}=~\\\\]{0,5}\n"];
        let operator = prop_oneof!["=~", "!~", "=", "!="];
        let matcher = (operator, gap.clone(), text).prop_map(|(operator, gap, text)| format!("b{operator}{gap}{text}"));
        let selector = (prop::collection::vec(matcher, 1..4), gap.clone())
            .prop_map(|(matchers, gap)| format!("a{{{gap}{}}}", matchers.join(",")));
        let piece = prop_oneof![4 => selector, 1 => Just("-a".to_owned()), 1 => Just("(a)".to_owned()), 1 => Just("or".to_owned())];
        let joint =
            (gap.clone(), prop_oneof!["[+*/^-]", " or ", " and "], gap).prop_map(|(a, b, c)| format!("{a}{b}{c}"));
        prop::collection::vec((piece, joint), 1..8)
            .prop_map(|all| all.into_iter().fold("a".into(), |all, (piece, joint)| format!("{all}{joint}{piece}")))
    }

    proptest! {
        #[test]
        fn it_reads_as_the_parser_does(query in query()) {
            if let Ok(tree) = parser::parse(&without_regexes(&query)) {
                prop_assert!(depth(&tree) <= operator_count(&query) + 1, "{query}");
                prop_assert!(!format!("{tree:?}").contains("Re("), "{query}");
            }
        }
    }
}
