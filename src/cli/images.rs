//! Images in short: what runs now, and what a run would put in its place.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::Value;

use super::{connection::Connection, terminal::inline};
use crate::api::{KanaryDeployment, Phase, names};

/// The images of a pod, by the name of the container.
pub type Images = BTreeMap<String, String>;

/// More characters of a digest say nothing to people.
const DIGEST: usize = 7;

/// Those of the base, if it is of use and can be read. After the promotion it has those of the template.
pub async fn of_base(connection: &Connection, kanary: &KanaryDeployment) -> Option<Images> {
    if kanary.status.as_ref().and_then(|status| status.phase) == Some(Phase::Succeeded) {
        return None;
    }
    let namespace = kanary.metadata.namespace.as_deref()?;
    let api: Api<Deployment> = Api::namespaced(connection.client.clone(), namespace);
    // Whoever may read the resource only sees no old image; that is no reason to fail.
    Some(of_deployment(&api.get_opt(&names::base(kanary)).await.ok()??))
}

/// Those of a Deployment.
#[must_use]
pub fn of_deployment(deployment: &Deployment) -> Images {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let containers = pod.into_iter().flat_map(|pod| &pod.containers);
    containers.map(|container| (container.name.clone(), container.image.clone().unwrap_or_default())).collect()
}

/// Those of the template.
#[must_use]
pub fn of_template(kanary: &KanaryDeployment) -> Images {
    let pods = kanary.spec.template.pod_template();
    let containers = pods.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let text = |container: &Value, field: &str| container[field].as_str().unwrap_or_default().to_owned();
    containers.map(|container| (text(container, "name"), text(container, "image"))).collect()
}

/// The containers whose image changes, as `old → new`; the images of the template if none does, or if the old ones are not
/// known.
#[must_use]
pub fn change(old: Option<&Images>, new: &Images) -> Vec<(Option<String>, String)> {
    let before = |name: &String| old.and_then(|old| old.get(name)).cloned();
    let changed: Vec<_> = new
        .iter()
        .map(|(name, image)| (before(name).filter(|before| before != image), image.clone()))
        .filter(|(before, _)| before.is_some())
        .collect();
    if changed.is_empty() { new.values().map(|image| (None, image.clone())).collect() } else { changed }
}

/// In a line, without registries and paths: `web:1 → web:2`.
#[must_use]
pub fn in_short(change: &[(Option<String>, String)]) -> String {
    let Some((old, new)) = change.first() else { return "-".into() };
    let more = if change.len() > 1 { format!(" +{}", change.len() - 1) } else { String::new() };
    format!("{}{more}", arrow(old.as_deref().map(short).as_deref(), &short(new)))
}

/// The same without the name of the image where it stays: `web:1 → 2`.
#[must_use]
pub fn compact(change: &[(Option<String>, String)]) -> String {
    let text = in_short(change);
    let Some((old, new)) = text.split_once(" → ") else { return text };
    let name = |image: &str| image.split_once([':', '@']).map(|(name, _)| name.to_owned());
    match name(old).filter(|known| name(new).as_ref() == Some(known)) {
        Some(known) => format!("{old} → {}", &new[known.len() + 1..]),
        None => text,
    }
}

/// In a line, with everything.
#[must_use]
pub fn in_full(change: &[(Option<String>, String)]) -> String {
    let all: Vec<String> = change.iter().map(|(old, new)| arrow(old.as_deref(), new)).collect();
    if all.is_empty() { "-".into() } else { all.join(", ") }
}

fn arrow(old: Option<&str>, new: &str) -> String {
    let new = inline(new);
    old.map(inline).map_or_else(|| new.clone(), |old| format!("{old} → {new}"))
}

fn short(image: &str) -> String {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let name = name.rsplit('/').next().unwrap_or_default();
    let hash = digest.map(|digest| digest.split_once(':').map_or(digest, |(_, hash)| hash));
    match hash {
        Some(hash) if !name.contains(':') => format!("{name}@{}", hash.chars().take(DIGEST).collect::<String>()),
        Some(_) | None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(pairs: &[(&str, &str)]) -> Images {
        pairs.iter().map(|(name, image)| ((*name).to_owned(), (*image).to_owned())).collect()
    }

    #[test]
    fn a_change_is_short() {
        let digest = "quay.io/team/web@sha256:0123456789abcdef";
        for (old, new, expected) in [
            (Some(vec![("web", "web:1")]), vec![("web", "web:2")], "web:1 → web:2"),
            (None, vec![("web", "web:2")], "web:2"),
            (Some(vec![("web", "web:2")]), vec![("web", "web:2")], "web:2"),
            (Some(vec![("web", "reg:5000/a/web:1")]), vec![("web", digest)], "web:1 → web@0123456"),
            (Some(vec![("a", "a:1"), ("b", "b:1")]), vec![("a", "a:1"), ("b", "b:2")], "b:1 → b:2"),
            (Some(vec![("a", "a:1"), ("b", "b:1")]), vec![("a", "a:2"), ("b", "b:2")], "a:1 → a:2 +1"),
            (Some(vec![("a", "a:1")]), vec![("a", "a:1"), ("new", "n:1")], "a:1 +1"),
            (None, vec![], "-"),
        ] {
            let old = old.map(|old| images(&old));
            assert_eq!(in_short(&change(old.as_ref(), &images(&new))), expected);
        }
        for (old, new, expected) in [
            ("web:1", "web:2", "web:1 → 2"),
            ("a/web:1", "b/web@sha256:0123456789", "web:1 → 0123456"),
            ("web:1", "api:2", "web:1 → api:2"),
            ("web", "web:2", "web → web:2"),
        ] {
            let change = change(Some(&images(&[("a", old)])), &images(&[("a", new)]));
            assert_eq!(compact(&change), expected);
        }
    }
}
