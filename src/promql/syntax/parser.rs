//! From tokens to a tree, with Prometheus' precedences.
//!
//! There are two ways to fail. What no server can read is wrong: a parenthesis that is not closed, an operand that is
//! missing. What is only not known here, a keyword or an operator of a dialect or of a later version, is the server's to
//! read or to refuse.

use std::ops::Range;

use super::{
    cursor::{Cursor, Failure, balanced},
    functions,
    tree::{Binary, Call, Expr, Node, Op},
    variables,
};
use crate::promql::lexer::{self, Kind, Token};

/// Expressions within each other, which are as many calls within each other.
const MAX_DEPTH: usize = 100;

/// How tightly operators bind. A sign binds as `*` does.
const SIGN: u8 = 5;
const POWER: u8 = 6;

/// Parses a query.
///
/// # Errors
/// [`Failure`]
pub fn parse(query: &str, tokens: &[Token]) -> Result<Expr, Failure> {
    balanced(query, tokens)?;
    variables::none(query, tokens)?;
    let mut parser = Parser(Cursor { query, tokens, next: 0 }, 0);
    let tree = parser.expression(0)?;
    if parser.0.kind().is_some() { Err(parser.0.unknown()) } else { Ok(tree) }
}

/// A reader, and how many expressions it is within.
pub struct Parser<'a>(pub(super) Cursor<'a>, usize);

impl Parser<'_> {
    /// An operand, and all that is joined to it by operators that bind tighter than this.
    pub(super) fn expression(&mut self, least: u8) -> Result<Expr, Failure> {
        if self.1 > MAX_DEPTH {
            let why =
                format!("more than {MAX_DEPTH} expressions within each other; let recording rules compute parts of it");
            return Err(Failure::Wrong { at: self.0.at(), why });
        }
        self.1 += 1;
        let expression = self.joined(least);
        self.1 -= 1;
        expression
    }

    fn joined(&mut self, least: u8) -> Result<Expr, Failure> {
        let mut lhs = self.operand()?;
        while let Some((op, binds)) = self.operator().filter(|(_, binds)| *binds > least) {
            let at = self.0.take();
            let is_bool = self.0.word() == "bool";
            if is_bool {
                if op != Op::Compare {
                    return Err(Failure::Wrong {
                        at: self.0.at(),
                        why: "`bool` can follow a comparison only; remove it".into(),
                    });
                }
                self.0.take();
            }
            let matching = self.matching()?;
            // The power of a power is computed from the right.
            let rhs = self.expression(if binds == POWER { binds - 1 } else { binds })?;
            let span = lhs.span.start..rhs.span.end;
            let node = Node::Binary(Binary { op, at, is_bool, matching, lhs: Box::new(lhs), rhs: Box::new(rhs) });
            lhs = Expr { span, node };
        }
        Ok(lhs)
    }

    fn operator(&self) -> Option<(Op, u8)> {
        Some(match (self.0.kind()?, self.0.word().as_str(), self.0.peek()) {
            (Kind::Word, "or", _) => (Op::Or, 1),
            (Kind::Word, "and", _) => (Op::And, 2),
            (Kind::Word, "unless", _) => (Op::Unless, 2),
            (Kind::Symbol, _, "==" | "!=" | "<" | "<=" | ">" | ">=") => (Op::Compare, 3),
            (Kind::Symbol, _, "</" | ">/") => (Op::Trim, 3),
            (Kind::Symbol, _, "+") => (Op::Add, 4),
            (Kind::Symbol, _, "-") => (Op::Sub, 4),
            (Kind::Symbol, _, "*") => (Op::Mul, SIGN),
            (Kind::Symbol, _, "/") => (Op::Div, SIGN),
            (Kind::Symbol, _, "%") | (Kind::Word, "atan2", _) => (Op::Other, SIGN),
            (Kind::Symbol, _, "^") => (Op::Other, POWER),
            _ => return None,
        })
    }

    /// `on(…) group_left(…) fill(…)`.
    fn matching(&mut self) -> Result<Option<Range<usize>>, Failure> {
        let mut matching = None;
        if matches!(self.0.word().as_str(), "on" | "ignoring") && self.0.nth(1) == "(" {
            let start = self.0.take().start;
            self.labels()?;
            matching = Some(start..self.0.end());
        }
        if matches!(self.0.word().as_str(), "group_left" | "group_right") {
            self.0.take();
            if self.0.peek() == "(" {
                self.labels()?;
            }
        }
        while matches!(self.0.word().as_str(), "fill" | "fill_left" | "fill_right") && self.0.nth(1) == "(" {
            self.0.take();
            self.group()?;
        }
        Ok(matching)
    }

    fn operand(&mut self) -> Result<Expr, Failure> {
        let start = self.0.at();
        if self.0.accept("+") || self.0.accept("-") {
            let is_minus = self.0.query[start..].starts_with('-');
            let inner = Box::new(self.expression(SIGN)?);
            return Ok(Expr { span: start..inner.span.end, node: Node::Unary { is_minus, inner } });
        }
        let node = match (self.0.kind(), self.0.peek()) {
            (None, _) | (Some(Kind::Symbol), ")" | "]" | ",") => return Err(self.0.operand_missing()),
            (Some(Kind::Number), _) => Node::Number(Some(self.number()?)),
            (Some(Kind::Text), _) => {
                self.0.take();
                Node::Text
            }
            (Some(Kind::Symbol), "(") => {
                self.0.take();
                let inner = self.expression(0)?;
                self.0.expect(")")?;
                Node::Paren(Box::new(inner))
            }
            (Some(Kind::Symbol), "{") => Node::Selector(self.matchers()?),
            (Some(Kind::Word), _) => self.named()?,
            (Some(Kind::Symbol | Kind::Other), _) => return Err(self.0.unknown()),
        };
        let operand = Expr { span: start..self.0.end(), node };
        self.modified(operand)
    }

    /// A number or a duration. A dialect has more units.
    pub(super) fn number(&mut self) -> Result<f64, Failure> {
        let value = lexer::value(self.0.peek()).ok_or_else(|| self.0.unknown())?;
        self.0.take();
        Ok(value)
    }

    /// A metric, a function, an aggregation, or a number that is a word.
    fn named(&mut self) -> Result<Node, Failure> {
        let (name, is_called) = (self.0.word(), self.0.nth(1) == "(");
        let is_aggregation = functions::AGGREGATIONS.contains(&name.as_str());
        let is_grouped =
            matches!(self.0.nth(1).to_ascii_lowercase().as_str(), "by" | "without") && self.0.nth(2) == "(";
        let metric = self.0.peek().to_owned();
        let at = self.0.take();
        if is_aggregation && (is_called || is_grouped) {
            if is_grouped {
                self.0.take();
                self.labels()?;
            }
            let args = self.arguments()?;
            if !is_grouped && matches!(self.0.word().as_str(), "by" | "without") && self.0.nth(1) == "(" {
                self.0.take();
                self.labels()?;
            }
            return Ok(Node::Aggregate(Call { name, at, args }));
        }
        if is_called {
            return Ok(Node::Call(Call { name, at, args: self.arguments()? }));
        }
        if matches!(name.as_str(), "inf" | "nan") {
            return Ok(Node::Number(name.parse().ok()));
        }
        if self.0.peek() == "{" {
            self.matchers()?;
        }
        Ok(Node::Selector(Some(metric)))
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, Failure> {
        self.0.expect("(")?;
        let mut args = Vec::new();
        while !self.0.accept(")") {
            args.push(self.expression(0)?);
            if self.0.peek() != ")" {
                self.0.expect(",")?;
            }
        }
        Ok(args)
    }

    /// Label matchers; returns the metric's name if it is among them, in quotes.
    fn matchers(&mut self) -> Result<Option<String>, Failure> {
        self.0.expect("{")?;
        let mut metric = None;
        while !self.0.accept("}") {
            let name = self.0.peek();
            if !matches!(self.0.kind(), Some(Kind::Word | Kind::Text)) {
                return Err(self.0.unknown());
            }
            let is_text = self.0.kind() == Some(Kind::Text);
            self.0.take();
            if ["=", "!=", "=~", "!~"].into_iter().any(|operator| self.0.accept(operator)) {
                if self.0.kind() != Some(Kind::Text) {
                    return Err(self.0.unknown());
                }
                self.0.take();
            } else if is_text {
                metric = Some(name.trim_matches(['"', '\'', '`']).to_owned());
            } else {
                return Err(self.0.unknown());
            }
            // A dialect has alternatives.
            if self.0.peek() != "}" && !self.0.accept(",") {
                if self.0.word() != "or" {
                    return Err(self.0.unknown());
                }
                self.0.take();
            }
        }
        Ok(metric)
    }
}
