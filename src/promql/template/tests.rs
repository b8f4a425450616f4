//! Templates of queries.

use super::*;
use crate::promql::syntax;

fn values() -> Values {
    Values {
        kanary: "web".into(),
        namespace: "shop".into(),
        deployment: "web-base".into(),
        canary: "web-kanary".into(),
        service: Some("web-service".into()),
        kanary_service: "web-copy".into(),
        pods: ["web-kanary-b", "web-kanary-a"].map(str::to_owned).into(),
        period: "15m".into(),
        elapsed: "90s".into(),
    }
}

#[test]
fn each_variable_has_its_value() {
    let expected = [
        ("kanary.name", "web"),
        ("namespace", "shop"),
        ("deployment.name", "web-base"),
        ("canary.name", "web-kanary"),
        ("service.name", "web-service"),
        ("kanaryService.name", "web-copy"),
        ("canary.pods", "web-kanary-a|web-kanary-b"),
        ("validation.period", "15m"),
        ("validation.elapsed", "90s"),
    ];
    assert_eq!(expected.map(|(name, _)| name), VARIABLES);
    for (name, value) in expected {
        for template in [format!("a{{x=\"{{{{{name}}}}}\"}}"), format!("a{{x=\"{{{{ {name} }}}}\"}}")] {
            assert_eq!(render(&template, &values()), Ok(format!("a{{x=\"{value}\"}}")), "{template}");
        }
    }
}

#[test]
fn promql_is_left_as_it_is() {
    let query = "sum by (code) (rate(x{a=\"b\",c=~'d.*',e!=`f`}[1m])) / 2 > bool 0.5 # {comment} & <more>";
    assert_eq!(render(query, &values()), Ok(query.into()));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases = [
        ("up\n+ {{kanary.nmae}}", "line 2: unknown variable kanary.nmae; available: kanary.name, namespace"),
        ("{{kanary}}", "line 1: unknown variable kanary;"),
        ("up\n\n{{#if namespace}}x{{/if}}", "line 3: only a variable is allowed between {{ and }}"),
        ("{{lookup a b}}", "line 1: only a variable"),
        ("{{> partial}}", "line 1: only a variable"),
        ("{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}", "line 1: only a variable"),
        ("up\n{{", "line 2: "),
        ("{{{namespace}}", "line 1: "),
    ];
    for (template, why) in cases {
        let fault = render(template, &values()).expect_err(template).to_string();
        assert!(fault.starts_with(why), "{fault}");
    }
    let nameless = Values { service: None, ..values() };
    assert!(render("\n{{service.name}}", &nameless).expect_err("no Service").to_string().contains("line 2"));
}

/// Some of them ended the process.
#[test]
fn what_no_person_could_read_is_refused() {
    let nested = |open: &str, close: &str| format!("{}x{}", open.repeat(2000), close.repeat(2000));
    let bad = [
        (format!("\n{{{{a {}}}}}", nested("(a ", ")")), "line 2: only a variable"),
        (format!("{{{{a {}", "(a ".repeat(5000)), "line 1: only a variable"),
        (format!("\\{{{{! {{{{a {}}}}}", nested("(a ", ")")), "line 1: only a variable"),
        (format!("{{{{!a}}}}{{{{a {}}}}}", nested("[", "]")), "line 1: only a variable"),
        (nested("{{#a}}", "{{/a}}"), "line 1: only a variable"),
        (format!("{{{{a {}}}}}", nested("{\"a\":", "}")), "line 1: only a variable"),
        ("{{namespace}}".repeat(1260), "line 1: more than 256 variables"),
        ("\\".repeat(16_384), "line 1: more than 64 backslashes"),
        ("{{".repeat(8192), "line 1: "),
        ("{{{{a}}}}".repeat(1800), "line 1: "),
    ];
    for (template, why) in bad {
        let fault = render(&template, &values()).expect_err(why).to_string();
        assert!(fault.starts_with(why), "{fault}");
    }
    assert_eq!(render(&"{{namespace}} ".repeat(200), &values()), Ok("shop ".repeat(200)));
}

#[test]
fn a_comment_may_say_anything() {
    assert_eq!(render("up{{! (see #1, \"x\") }} + 1", &values()), Ok("up + 1".into()));
    assert_eq!(render("up{{!-- (see #1) --}} + 1", &values()), Ok("up + 1".into()));
}

#[test]
fn no_pods_match_nothing() {
    let none = Values { pods: BTreeSet::new(), ..values() };
    assert_eq!(render("{{canary.pods}}", &none), Ok("-".into()));
}

#[test]
fn a_value_cannot_break_out_of_its_string() {
    for quote in ['"', '\'', '`'] {
        let evil = Values { namespace: format!("a{quote}}} or vector(1) # \\{quote}\n"), ..values() };
        for open in ["{{", "{{{"] {
            let close = if open.len() == 2 { "}}" } else { "}}}" };
            let query = render(&format!("up{{a={quote}{open}namespace{close}{quote}}}"), &evil).expect("a query");
            assert_eq!(query.matches(quote).count(), 2, "{query}");
            let names = syntax::Names { base: "web", canary: "web-kanary" };
            let candidate = syntax::Candidate { template: &query, query: &query, is_boolean: false, names };
            assert_eq!(syntax::check(candidate, &|_| None), Ok(None), "{query}");
        }
    }
}
