//! Queries to start from: `prometheus/queries`, as the examples use them.

/// Does less than one request in a hundred fail? It answers true or false, and nothing of an idle canary.
pub const ISTIO_SUCCESS: &str = include_str!("../../../prometheus/queries/istio-success.promql");

/// The latency in milliseconds that 99 of 100 requests stay under, for `valueInRange` with `allPodsQuery`.
pub const ISTIO_LATENCY: &str = include_str!("../../../prometheus/queries/istio-latency.promql");

/// Did any request arrive at the canary? For `confirm: requests`, unless the controller is given another one.
pub const ISTIO_COPIES: &str = include_str!("../../../prometheus/queries/istio-copies.promql");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::promql::syntax;

    #[test]
    fn what_is_shipped_is_right() {
        let render = |text: &str| Some(text.replace("{{namespace}}", "shop").replace("{{canary.name}}", "web-kanary"));
        for (query, is_truth) in [(ISTIO_SUCCESS, true), (ISTIO_COPIES, true), (ISTIO_LATENCY, false)] {
            assert_eq!(syntax::check(query, &render(query).expect("a query"), is_truth, &render), Ok(()));
        }
    }

    #[test]
    fn an_idle_canary_is_no_division_by_zero() {
        assert!(ISTIO_SUCCESS.contains("> 0)") && ISTIO_SUCCESS.contains("or vector(0)"));
    }
}
