//! What a query returns, and where it does not fit.

use super::{
    cursor::Failure,
    functions::{self, Value},
    tree::{Binary, Expr, Node, Op, Type},
};

/// What it returns; nothing if a server knows more of it than we do.
pub fn of(expr: &Expr) -> Option<Type> {
    match &expr.node {
        Node::Number(_) => Some(Type::Scalar),
        Node::Text => Some(Type::Text),
        Node::Selector(_) | Node::Aggregate(_) => Some(Type::Vector),
        Node::Range(_) => Some(Type::Range),
        Node::Paren(inner) | Node::Unary { inner, .. } => of(inner),
        Node::Binary(Binary { lhs, rhs, .. }) => match (of(lhs), of(rhs)) {
            (Some(Type::Scalar), Some(Type::Scalar)) => Some(Type::Scalar),
            (Some(Type::Vector), _) | (_, Some(Type::Vector)) => Some(Type::Vector),
            (_, _) => None,
        },
        Node::Call(call) if functions::is_scalar(&call.name) => Some(Type::Scalar),
        Node::Call(call) => (functions::of_function(&call.name).0 != Value::Unknown).then_some(Type::Vector),
    }
}

/// A range where there must be none, or none where there must be one; or a set of numbers.
///
/// # Errors
/// [`Failure::Wrong`]
pub fn check(expr: &Expr) -> Result<(), Failure> {
    expr.children().into_iter().try_for_each(check)?;
    let wrong = |at: &Expr, why: String| Err(Failure::Wrong { at: at.span.start, why });
    let is_range = |part: &&Expr| of(part) == Some(Type::Range);
    match &expr.node {
        Node::Unary { .. } | Node::Binary(_) | Node::Aggregate(_) => {
            if let Some(part) = expr.children().into_iter().find(is_range) {
                return wrong(
                    part,
                    "a range vector cannot be computed with; wrap it in rate() or a similar function".into(),
                );
            }
        }
        Node::Call(call) => {
            let index = functions::range_argument(&call.name);
            let argument = index.and_then(|index| call.args.get(index));
            if let Some(part) = argument.filter(|part| of(part).is_some_and(|found| found != Type::Range)) {
                return wrong(part, format!("{0}() needs a range vector, as in {0}(x[1m])", call.name));
            }
        }
        Node::Number(_) | Node::Text | Node::Selector(_) | Node::Range(_) | Node::Paren(_) => {}
    }
    let Node::Binary(binary) = &expr.node else { return Ok(()) };
    let number = [&binary.lhs, &binary.rhs].into_iter().find(|side| of(side) == Some(Type::Scalar));
    match (binary.op, number) {
        (Op::And | Op::Or | Op::Unless, Some(number)) => {
            wrong(number, "`and`, `or` and `unless` join vectors, not numbers; wrap the number in vector()".into())
        }
        _ => Ok(()),
    }
}
