//! What follows an operand or an operator: ranges, offsets and times, and lists of labels.

use super::{
    cursor::Failure,
    parser::Parser,
    tree::{Binary, Expr, Node, Op},
};
use crate::promql::lexer::Kind;

impl Parser<'_> {
    /// Ranges, offsets and times that follow an operand.
    pub(super) fn modified(&mut self, mut operand: Expr) -> Result<Expr, Failure> {
        loop {
            match (self.0.kind(), self.0.word().as_str(), self.0.peek()) {
                (Some(Kind::Symbol), _, "[") => {
                    self.range()?;
                    let span = operand.span.start..self.0.end();
                    operand = Expr { span, node: Node::Range(Box::new(operand)) };
                }
                (_, "offset", _) | (Some(Kind::Symbol), _, "@") => {
                    self.0.take();
                    self.time()?;
                }
                (_, "anchored" | "smoothed", _) => drop(self.0.take()),
                _ => break,
            }
            operand.span.end = self.0.end();
        }
        Ok(operand)
    }

    /// `[5m]`, or `[5m:30s]`, or `[5m:]`.
    fn range(&mut self) -> Result<(), Failure> {
        self.0.expect("[")?;
        self.duration()?;
        if self.0.accept(":") && self.0.peek() != "]" {
            self.duration()?;
        }
        self.0.expect("]")
    }

    /// A duration, or what computes one.
    fn duration(&mut self) -> Result<(), Failure> {
        let duration = self.expression(0)?;
        if is_duration(&duration) { Ok(()) } else { Err(Failure::Unknown { at: duration.span.start }) }
    }

    /// A duration or a moment: a number, a call such as `start()`, or any expression in parentheses.
    fn time(&mut self) -> Result<(), Failure> {
        while self.0.accept("+") || self.0.accept("-") {}
        match self.0.kind() {
            None => return Err(self.0.operand_missing()),
            Some(Kind::Word) if self.0.nth(1) == "(" => {
                self.0.take();
                self.group()?;
            }
            Some(Kind::Number) => drop(self.number()?),
            Some(Kind::Word | Kind::Text | Kind::Symbol | Kind::Other) => self.group()?,
        }
        Ok(())
    }

    /// Names of labels in parentheses.
    pub(super) fn labels(&mut self) -> Result<(), Failure> {
        self.0.expect("(")?;
        while !self.0.accept(")") {
            match self.0.kind() {
                None => return Err(self.0.operand_missing()),
                Some(Kind::Word | Kind::Text) => drop(self.0.take()),
                Some(Kind::Number | Kind::Symbol | Kind::Other) => return Err(self.0.unknown()),
            }
            if self.0.peek() != ")" {
                self.0.expect(",")?;
            }
        }
        Ok(())
    }

    /// Skips what is in parentheses.
    pub(super) fn group(&mut self) -> Result<(), Failure> {
        self.0.expect("(")?;
        let mut depth = 1;
        while depth > 0 {
            depth = if self.0.accept("(") {
                depth + 1
            } else if self.0.accept(")") {
                depth - 1
            } else if self.0.kind().is_some() {
                self.0.take();
                depth
            } else {
                return Err(self.0.operand_missing());
            };
        }
        Ok(())
    }
}

/// Functions that a duration may be computed with.
const OF_DURATIONS: [&str; 6] = ["step", "range", "min", "max", "min_of", "max_of"];

fn is_duration(expr: &Expr) -> bool {
    match &expr.node {
        Node::Number(_) => true,
        Node::Paren(inner) | Node::Unary { inner, .. } => is_duration(inner),
        Node::Binary(Binary { op: Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Other, lhs, rhs, .. }) => {
            is_duration(lhs) && is_duration(rhs)
        }
        Node::Call(call) | Node::Aggregate(call) => {
            OF_DURATIONS.contains(&call.name.as_str()) && call.args.iter().all(is_duration)
        }
        Node::Binary(_) | Node::Text | Node::Selector(_) | Node::Range(_) => false,
    }
}
