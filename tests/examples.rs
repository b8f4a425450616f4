//! The examples, and what README.md shows, are resources that this build understands: no field is unknown, and each
//! begins a run. That the API server takes them, and how they end, is for the end-to-end tests.

#![allow(clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use kanary::{
    api::{KanaryDeployment, Phase, names},
    decision::{Action, DryRun, Kind, Lookup, Observed, Routes},
    lifecycle,
    objects::{Listed, PodTemplate},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Before every `spec.schedule` of the examples.
const NOW: &str = "2026-01-01T00:00:00Z";

/// One folder: where it is, and the objects of all its files.
struct Story {
    folder: PathBuf,
    objects: Vec<Value>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("entry").path()).collect();
    paths.sort();
    paths
}

fn documents(yaml: &str, of: &Path) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{}: {error}", of.display()))
}

fn stories() -> Vec<Story> {
    let read = |folder: PathBuf| {
        let files = entries(&folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "yaml"));
        let objects = files.flat_map(|path| documents(&fs::read_to_string(&path).expect("text"), &path)).collect();
        Story { folder, objects }
    };
    let folders = entries(&repository().join("examples")).into_iter().filter(|path| path.is_dir());
    let stories: Vec<Story> = folders.map(read).collect();
    assert!(stories.len() >= 10, "{} stories", stories.len());
    stories
}

fn is_a(kind: &str) -> impl Fn(&&Value) -> bool {
    move |object| object["kind"] == kind
}

impl Story {
    fn kanaries(&self) -> Vec<KanaryDeployment> {
        let kanaries: Vec<_> = self.objects.iter().filter(is_a("KanaryDeployment")).map(understood).collect();
        assert!(!kanaries.is_empty(), "{}: no KanaryDeployment", self.folder.display());
        kanaries
    }

    fn all<K: DeserializeOwned>(&self, kind: &str) -> Vec<Arc<K>> {
        let stored = |object: &Value| Arc::new(serde_json::from_value(stored(object.clone())).expect("stored"));
        self.objects.iter().filter(is_a(kind)).map(stored).collect()
    }

    /// The cluster after `kubectl apply -f` of the folder, as one of its resources sees it.
    fn observed(&self, mut kanary: KanaryDeployment) -> Observed {
        kanary.metadata.namespace = Some("default".into());
        kanary.metadata.uid = Some("uid-of-the-kanary".into());
        kanary.metadata.generation = Some(1);
        let deployments = self.all::<kanary::objects::Deployment>("Deployment");
        let base = names::base(&kanary);
        Observed {
            base: deployments.into_iter().find(|deployment| deployment.metadata.name.as_ref() == Some(&base)),
            services: self.all("Service"),
            autoscalers: self.all("HorizontalPodAutoscaler"),
            routes: Routes {
                domain: "cluster.local".into(),
                virtual_services: Listed::All(self.all("VirtualService")),
                http_routes: Listed::All(self.all("HTTPRoute")),
                is_fresh: false,
            },
            ..Observed::around(Arc::new(kanary), NOW.parse().expect("a time"))
        }
    }
}

/// What the API server adds.
fn stored(mut object: Value) -> Value {
    object["metadata"]["namespace"] = json!("default");
    object["metadata"]["uid"] = json!(format!("uid-of-{}", object["metadata"]["name"]));
    object["metadata"]["resourceVersion"] = json!("1");
    object
}

/// The typed resource; a field that the types do not know would be lost on the way there and back.
fn understood(document: &Value) -> KanaryDeployment {
    let kanary: KanaryDeployment = serde_json::from_value(document.clone()).expect("a KanaryDeployment");
    let back = serde_json::to_value(&kanary).expect("JSON");
    let mut lost = Vec::new();
    compare(document, &back, "", &mut lost);
    assert!(lost.is_empty(), "not understood as written: {lost:?} of {document}");
    kanary
}

/// Everything that `written` says, `read` says as well; defaults may come on top.
fn compare(written: &Value, read: &Value, path: &str, lost: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(fields), Value::Object(_)) => {
            for (key, value) in fields {
                compare(value, &read[key], &format!("{path}.{key}"), lost);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (value, read)) in one.iter().zip(other).enumerate() {
                compare(value, read, &format!("{path}[{index}]"), lost);
            }
        }
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
        _ if written == read => {}
        _ => lost.push(path.to_owned()),
    }
}

/// Lets time and the API server do their part until the canary is made; returns what was made.
fn until_made(mut seen: Observed) -> Vec<Action> {
    for _ in 0..6 {
        if let Some(Lookup::DryRunPromotion { template_hash, base_hash, .. }) = lifecycle::lookup(&seen) {
            let outcome = Ok(PodTemplate {
                hash: "the promoted hash".into(),
                ..PodTemplate::of(&seen.kanary.spec.template.pod_template())
            });
            seen.dry_run = Some(DryRun { template_hash, base_hash, at: seen.now, outcome, changes: true });
        }
        let plan = lifecycle::plan(&seen);
        if let Some(tell) = plan.status {
            assert_eq!(tell.status.problem(), None, "{}", seen.id());
            Arc::make_mut(&mut seen.kanary).status = Some(tell.status);
        }
        match plan.actions.as_slice() {
            [] => {}
            [Action::CreateBase { object, .. }] => {
                seen.base = Some(Arc::new(serde_json::from_value(stored(object.clone())).expect("the base")));
            }
            _ => return plan.actions,
        }
        let waits = seen.kanary.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Scheduled));
        if waits {
            assert_eq!(plan.requeue_at, seen.kanary.spec.schedule, "{}: wakes when it is due", seen.id());
            seen.now = plan.requeue_at.expect("a schedule");
        }
    }
    panic!("{}: no canary is made; status: {:#?}", seen.id(), seen.kanary.status)
}

#[test]
fn every_example_is_understood() {
    for story in stories() {
        for kanary in story.kanaries() {
            let name = kanary.metadata.name.unwrap_or_default();
            assert!(name.len() <= 56, "{name}");
        }
    }
}

#[test]
fn every_story_is_told() {
    let index = fs::read_to_string(repository().join("examples/README.md")).expect("examples/README.md");
    for story in stories() {
        let told = fs::read_to_string(story.folder.join("README.md")).expect("each folder has a README.md");
        let name = story.folder.file_name().expect("a name").to_string_lossy();
        assert!(told.contains(&format!("kubectl apply -f examples/{name}/")), "{name}: says how to try it");
        assert!(index.contains(&format!("]({name}/)")), "{name}: is in examples/README.md");
    }
}

#[test]
fn every_example_makes_its_canary() {
    for story in stories() {
        for kanary in story.kanaries() {
            let spec = kanary.spec.clone();
            let canary = names::canary(&kanary);
            let actions = until_made(story.observed(kanary));
            let made = |kind| actions.iter().any(|a| matches!(a, Action::Create { target, .. } if target.kind == kind));
            let deployment = actions.iter().find(|action| action.target().kind == Kind::Deployment);
            assert_eq!(deployment.map(|action| action.target().name.clone()), Some(canary.clone()));
            assert_eq!(made(Kind::HorizontalPodAutoscaler), spec.scale.hpa.is_some(), "{canary}");
            assert_eq!(made(Kind::Service), spec.traffic.source.has_kanary_service(), "{canary}");
        }
    }
}

#[test]
fn the_readme_shows_what_works() {
    let path = repository().join("README.md");
    let text = fs::read_to_string(&path).expect("README.md");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown: Vec<Value> = blocks.flat_map(|block| documents(block, &path)).collect();
    let kanaries: Vec<_> = shown.iter().filter(is_a("KanaryDeployment")).map(understood).collect();
    assert!(!kanaries.is_empty(), "README.md shows a KanaryDeployment");
}
