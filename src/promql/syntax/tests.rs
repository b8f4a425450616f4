//! The check of a query.

use super::*;

mod doubts;
mod flaws;
mod reading;

fn render(text: &str) -> Option<String> {
    let text = text.replace("{{namespace}}", "shop").replace("{{canary.name}}", "web-kanary");
    let text = text.replace("{{deployment.name}}", "web").replace("{{canary.pods}}", "web-kanary-7d9f8c6b5d-x2x4z");
    Some(text.replace("{{validation.elapsed}}", "5m").replace("{{kanary.name}}", "web"))
}

/// Of a KanaryDeployment with the name of its base.
fn candidate<'a>(template: &'a str, query: &'a str, is_boolean: bool) -> Candidate<'a> {
    Candidate { template, query, is_boolean, names: Names { base: "web", canary: "web-kanary" } }
}

fn check(query: &str, is_boolean: bool) -> Checked {
    super::check(candidate(query, &render(query).expect("a query"), is_boolean), &render)
}

/// The query must not be refused, nor doubted.
fn passes(query: &str) {
    assert_eq!(check(query, true), Ok(None), "{query}");
}

/// The query is refused, and this is proposed, which passes.
fn refused(cases: &[(Flaw, &str, &str)]) {
    for (flaw, query, proposed) in cases {
        let fault = Fault::Flawed { flaw: *flaw, corrected: Some((*proposed).into()) };
        assert_eq!(check(query, true), Err(fault), "{query}");
        passes(proposed);
    }
}

/// The query is refused, and what to write depends on what is meant.
fn without_proposal(flaw: Flaw, queries: &[&str]) {
    for query in queries {
        assert_eq!(check(query, true), Err(Fault::Flawed { flaw, corrected: None }), "{query}");
    }
}
