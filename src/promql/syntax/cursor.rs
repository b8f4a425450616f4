//! Steps through the tokens of a query.

use std::ops::Range;

use crate::promql::lexer::{Kind, Token};

/// Why there is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No server can read it.
    Wrong {
        /// Where.
        at: usize,
        /// One sentence.
        why: String,
    },
    /// It is not known here.
    Unknown {
        /// Where.
        at: usize,
    },
}

/// Where reading is.
pub struct Cursor<'a> {
    pub query: &'a str,
    pub tokens: &'a [Token],
    pub next: usize,
}

impl<'a> Cursor<'a> {
    pub fn peek(&self) -> &'a str {
        self.nth(0)
    }

    pub fn nth(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.next + ahead).map_or("", |token| &self.query[token.span.clone()])
    }

    pub fn kind(&self) -> Option<Kind> {
        self.tokens.get(self.next).map(|token| token.kind)
    }

    pub fn word(&self) -> String {
        if self.kind() == Some(Kind::Word) { self.peek().to_ascii_lowercase() } else { String::new() }
    }

    pub fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.query.trim_end().len(), |token| token.span.start)
    }

    /// Where what was read last ends.
    pub fn end(&self) -> usize {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.span.end)
    }

    pub fn take(&mut self) -> Range<usize> {
        let span = self.tokens.get(self.next).map_or(0..0, |token| token.span.clone());
        self.next += 1;
        span
    }

    pub fn accept(&mut self, text: &str) -> bool {
        let is_it = self.peek() == text && self.kind() == Some(Kind::Symbol);
        self.next += usize::from(is_it);
        is_it
    }

    pub fn expect(&mut self, text: &str) -> Result<(), Failure> {
        if self.accept(text) { Ok(()) } else { Err(self.unknown()) }
    }

    pub fn unknown(&self) -> Failure {
        Failure::Unknown { at: self.at() }
    }

    pub fn operand_missing(&self) -> Failure {
        let last = &self.query[..self.end()];
        let last =
            self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map(|token| &last[token.span.clone()]);
        let why = match last {
            None => "the query is empty".to_owned(),
            Some(last) => format!("an operand is missing after {last}; write one"),
        };
        Failure::Wrong { at: self.end(), why }
    }
}

/// Are all brackets closed, each by its own?
///
/// # Errors
/// [`Failure::Wrong`]
pub fn balanced(query: &str, tokens: &[Token]) -> Result<(), Failure> {
    let mut open: Vec<(&str, usize)> = Vec::new();
    let wrong = |at, why| Err(Failure::Wrong { at, why });
    for token in tokens {
        let text = &query[token.span.clone()];
        let begin = match text {
            "(" | "[" | "{" => {
                open.push((text, token.span.start));
                continue;
            }
            ")" => "(",
            "]" => "[",
            "}" => "{",
            _ => continue,
        };
        match open.pop() {
            Some((last, _)) if last == begin => {}
            Some((last, _)) => return wrong(token.span.start, format!("{text} closes {last}; close {last} first")),
            None => return wrong(token.span.start, format!("{text} closes nothing; remove it, or add {begin}")),
        }
    }
    open.pop().map_or(Ok(()), |(last, at)| wrong(at, format!("{last} is not closed; close it")))
}
