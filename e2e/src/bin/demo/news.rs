//! What is news, in words: of an object as it was, and as it is.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use serde_json::Value;

use crate::screen::Style;

/// Marks everything that belongs to a canary.
pub const CANARY: &str = "kanary.k8s.io/canary";

/// Something that happened: by whom or to whom, how it looks, and what.
pub type News = (&'static str, Style, String);

/// The phase, if it is another, and why.
pub fn phase(before: &Value, status: &Value) -> Vec<News> {
    let Some(phase) = status["phase"].as_str().filter(|phase| before["phase"] != *phase) else {
        return Vec::new();
    };
    let style = match phase {
        "Promoting" | "Succeeded" => Style::Green,
        "Failing" | "Failed" => Style::Red,
        _ => Style::Bold,
    };
    let verdict = status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Succeeded");
    let verdict = verdict.filter(|_| phase == "Promoting").and_then(|condition| condition["message"].as_str());
    let message = verdict.or(status["message"].as_str()).unwrap_or_default();
    vec![("phase", style, phase.to_owned()), ("", Style::Plain, short(message))]
}

/// A query is told once, and whole.
fn short(message: &str) -> String {
    message.split("; query: ").next().unwrap_or_default().to_owned()
}

/// What Prometheus finds good. What it finds bad is a phase of its own at once.
pub fn verdicts(before: &Value, status: &Value) -> Vec<News> {
    let items = |status: &Value| status["items"].as_array().cloned().unwrap_or_default();
    let is_valid = |item: &Value| item["kind"] == "promQL" && item["verdict"] == "Valid";
    let was_valid = |name: &Value| items(before).iter().any(|item| item["name"] == *name && is_valid(item));
    let fresh = items(status).into_iter().filter(|item| is_valid(item) && !was_valid(&item["name"]));
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let told = |item: Value| format!("{}: {}", text(&item, "name"), text(&item, "message"));
    fresh.map(|item| ("prometheus", Style::Green, told(item))).collect()
}

/// The first route's mirror, where that changed.
pub fn mirror(name: &str, before: &Value, spec: &Value) -> Vec<News> {
    let mirrors = |spec: &Value| spec["http"][0]["mirrors"].clone();
    let (was, is) = (mirrors(before), mirrors(spec));
    let Some(to) = is[0]["destination"]["host"].as_str() else {
        let gone = || ("traffic", Style::Red, format!("VirtualService {name} copies nothing any more"));
        return was[0].is_object().then(gone).into_iter().collect();
    };
    if was == is {
        return Vec::new();
    }
    let percent = is[0]["percentage"]["value"].as_f64().unwrap_or(100.0);
    vec![("traffic", Style::Green, format!("VirtualService {name} copies {percent} % of the requests to {to}"))]
}

/// A Service of the canary's, which comes and goes.
pub fn service(object: &Service, gone: bool) -> Vec<News> {
    let name = object.name_any();
    let mine = object.labels().contains_key(CANARY);
    match (mine, gone) {
        (true, true) => vec![("canary", Style::Plain, format!("Service {name} is gone"))],
        // It is created once and never changed in this play.
        (true, false) if object.metadata.generation.unwrap_or(1) == 1 => {
            vec![("canary", Style::Plain, format!("Service {name}, for the canary's pods only"))]
        }
        _ => Vec::new(),
    }
}
