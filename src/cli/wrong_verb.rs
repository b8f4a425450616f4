//! Verbs of other tools, answered with the verb that is meant. Those that are only misspelt are clap's business.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What people say elsewhere, and what they would say here; `NAME` is the name of a `KanaryDeployment`.
const VERBS: [(&[&str], &str); 14] = [
    (
        &["promote", "accept", "continue", "resume", "advance", "proceed", "pass", "ok", "lgtm", "confirm", "finish"],
        "kubectl kanary approve NAME",
    ),
    (
        &["abort", "cancel", "stop", "deny", "decline", "fail", "terminate", "kill", "halt", "end", "disapprove"],
        "kubectl kanary reject NAME",
    ),
    (
        &["status", "show", "info", "inspect", "explain", "history", "events", "desc", "view", "why"],
        "kubectl kanary describe NAME",
    ),
    (&["list", "ls", "ps", "all", "top"], "kubectl kanary get"),
    (&["restart", "rerun", "redo", "again", "run", "start", "trigger"], "kubectl kanary retry NAME"),
    (&["follow", "monitor", "tail", "wait", "attach", "dashboard"], "kubectl kanary watch NAME"),
    (&["create", "new", "init", "make", "scaffold", "convert", "add", "from"], "kubectl kanary generate DEPLOYMENT"),
    (
        &["lint", "validate", "check", "verify", "dry-run", "diff", "simulate", "preview", "test"],
        "kubectl kanary plan -f FILE",
    ),
    (&["argocd", "argo", "flux", "ignore", "gitops"], "kubectl kanary gitops-ignore NAME"),
    (&["apply", "deploy"], "kubectl apply -f FILE"),
    (&["edit", "set", "patch", "update"], "kubectl edit kd NAME"),
    (&["delete", "rm", "remove", "uninstall"], "kubectl delete kd NAME, which also takes the canary away"),
    (&["logs", "log"], "kubectl logs -l kanary.k8s.io/canary=NAME"),
    (&["version", "about"], "kubectl kanary --version"),
];

/// Verbs whose answer depends on how far the run is.
const BOTH: [(&[&str], &str); 2] = [
    (
        &["undo", "rollback", "revert", "back"],
        "while the run goes on: kubectl kanary reject NAME; after a promotion: kubectl rollout undo deployment DEPLOYMENT",
    ),
    (
        &["pause", "freeze", "suspend", "hold"],
        "a run cannot be paused; to end it: kubectl kanary reject NAME; to keep the Deployment as it is, set spec.validation.noUpdate",
    ),
];

/// What to say about an error of clap's, if it is about a verb that is known elsewhere.
#[must_use]
pub fn answer(error: &clap::Error, words: impl Iterator<Item = String>) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(verb)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let name = words.skip_while(|word| word != verb).skip(1).find(|word| !word.starts_with('-'));
    meant(verb, name.as_deref()).map(|meant| format!("there is no verb {verb:?}; {meant}"))
}

fn meant(verb: &str, name: Option<&str>) -> Option<String> {
    let lower = verb.to_lowercase();
    let find = |table: &[(&[&str], &'static str)]| {
        table.iter().find(|(verbs, _)| verbs.contains(&lower.as_str())).map(|(_, meant)| *meant)
    };
    let one = find(&VERBS).map(|meant| format!("did you mean: {meant}"));
    let meant = one.or_else(|| find(&BOTH).map(str::to_owned))?;
    // The name of a run is taken over, that of something else is not known.
    Some(name.map_or(meant.clone(), |name| meant.replace("NAME", name)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn verbs_of_other_tools_are_answered() {
        for (verb, name, expected) in [
            ("promote", Some("web"), "did you mean: kubectl kanary approve web"),
            ("abort", Some("web"), "did you mean: kubectl kanary reject web"),
            ("Status", None, "did you mean: kubectl kanary describe NAME"),
            ("list", None, "did you mean: kubectl kanary get"),
        ] {
            assert_eq!(meant(verb, name).as_deref(), Some(expected));
        }
        let undo = meant("undo", Some("web")).expect("an answer");
        assert!(undo.contains("kanary reject web") && undo.contains("kubectl rollout undo"), "{undo}");
        assert_eq!(meant("aprove", None), None);
    }

    #[test]
    fn no_verb_is_listed_twice_or_exists() {
        let all: Vec<&str> = VERBS.iter().chain(&BOTH).flat_map(|(verbs, _)| *verbs).copied().collect();
        let own = crate::cli::Arguments::command();
        for verb in &all {
            assert_eq!(all.iter().filter(|other| *other == verb).count(), 1, "{verb}");
            assert!(own.find_subcommand(verb).is_none(), "{verb} exists");
        }
        for (_, meant) in VERBS {
            let verb = meant.strip_prefix("kubectl kanary ").and_then(|rest| rest.split(' ').next());
            assert!(verb.is_none_or(|verb| verb.starts_with('-') || own.find_subcommand(verb).is_some()), "{meant}");
        }
    }
}
