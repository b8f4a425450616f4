//! The query of `prometheus/queries` that the controller sends by itself; all of them are tested here.

/// Did any request arrive at the canary? For `confirm: requests`, unless the controller is given another one.
pub const ISTIO_COPIES: &str = include_str!("../../prometheus/queries/istio-copies.promql");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::syntax;

    /// True or false, and nothing of an idle canary.
    const SUCCESS: &str = include_str!("../../prometheus/queries/istio-success.promql");
    /// A number, for `valueInRange` with `allPodsQuery`.
    const LATENCY: &str = include_str!("../../prometheus/queries/istio-latency.promql");

    #[test]
    fn what_is_shipped_is_right() {
        let render = |text: &str| Some(text.replace("{{namespace}}", "shop").replace("{{canary.name}}", "web-kanary"));
        for (query, is_boolean) in [(SUCCESS, true), (ISTIO_COPIES, true), (LATENCY, false)] {
            let names = syntax::Names { base: "web", canary: "web-kanary" };
            let rendered = render(query).expect("a query");
            let candidate = syntax::Candidate { template: query, query: &rendered, is_boolean, names };
            assert_eq!(syntax::check(candidate, &render), Ok(None));
        }
    }

    #[test]
    fn an_idle_canary_is_no_division_by_zero() {
        assert!(SUCCESS.contains("> 0)") && SUCCESS.contains("or vector(0)"));
    }
}
