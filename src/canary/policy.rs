//! Admission policies that ask for a label which canary pods do not have.

use super::Withheld;
use crate::api::names;

/// What helps, if a refusal of the API server names a label that is withheld.
#[must_use]
pub fn policy_hint(withheld: &Withheld, refusal: &str) -> Option<String> {
    let key = withheld.keys.iter().find(|key| names_label(refusal, key))?;
    Some(format!(
        "; canary pods do not have the label {key}, so that production does not select them: let the policy accept pods that have \
         the label {} in its place",
        names::CANARY_LABEL
    ))
}

/// Does the text name this label, and not a longer one?
fn names_label(text: &str, key: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-_/".contains(character);
    text.match_indices(key).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + key.len()..]);
        // A point within a name, and not at the end of a sentence.
        let goes_on = after.strip_prefix('.').unwrap_or(after).starts_with(is_part);
        !before.ends_with(|character| is_part(character) || character == '.') && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_names_a_withheld_label_is_explained() {
        let withheld = Withheld { keys: ["app".to_owned(), "app.kubernetes.io/name".into()].into(), unavoidable: None };
        let cases = [
            ("pods need the label app.kubernetes.io/name", Some("label app.kubernetes.io/name,")),
            ("you must provide labels: {\"app.kubernetes.io/name\"}", Some("label app.kubernetes.io/name,")),
            ("pods need app.", Some("label app,")),
            ("pods need an app's label", Some("label app,")),
            ("pods need app.example.com/team", None),
            ("pods need the label my-app", None),
            ("exceeded quota: pods", None),
        ];
        for (refusal, key) in cases {
            let hint = policy_hint(&withheld, refusal);
            let is_right = key.map_or(hint.is_none(), |key| hint.as_deref().is_some_and(|hint| hint.contains(key)));
            assert!(is_right, "{refusal}: {hint:?}");
        }
    }
}
