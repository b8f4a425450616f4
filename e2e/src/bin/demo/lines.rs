//! What to show of a change: from an object as it was, and as it is.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use serde_json::Value;

use crate::screen::Style;

/// The label on everything that belongs to a canary.
pub const CANARY: &str = "kanary.k8s.io/canary";

/// Something that happened: what it concerns or who did it, how it looks, and what it was.
pub type Line = (&'static str, Style, String);

/// The phase, if it changed, and why.
pub fn phase(before: &Value, status: &Value) -> Vec<Line> {
    let Some(phase) = status["phase"].as_str().filter(|phase| before["phase"] != *phase) else {
        return Vec::new();
    };
    let style = match phase {
        "Promoting" | "Succeeded" => Style::Green,
        "Failing" | "Failed" => Style::Red,
        _ => Style::Bold,
    };
    let verdict = if phase == "Promoting" { verdict(status) } else { None };
    let message = verdict.or(status["message"].as_str()).unwrap_or_default();
    vec![("phase", style, phase.to_owned()), ("", Style::Plain, short(message))]
}

/// Why the run succeeded.
fn verdict(status: &Value) -> Option<&str> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Succeeded")?["message"].as_str()
}

/// Without the query, which is shown once, and whole.
fn short(message: &str) -> String {
    message.split("; query: ").next().unwrap_or_default().to_owned()
}

/// PromQL items that became valid. An invalid one changes the phase at once.
pub fn verdicts(before: &Value, status: &Value) -> Vec<Line> {
    let items = |status: &Value| status["items"].as_array().cloned().unwrap_or_default();
    let is_valid = |item: &Value| item["kind"] == "promQL" && item["verdict"] == "Valid";
    let was_valid = |name: &Value| items(before).iter().any(|item| item["name"] == *name && is_valid(item));
    let fresh = items(status).into_iter().filter(|item| is_valid(item) && !was_valid(&item["name"]));
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let shown = |item: Value| format!("{}: {}", text(&item, "name"), text(&item, "message"));
    fresh.map(|item| ("prometheus", Style::Green, shown(item))).collect()
}

/// The first route's mirror, if that changed.
pub fn mirror(name: &str, before: &Value, spec: &Value) -> Vec<Line> {
    let mirrors = |spec: &Value| spec["http"][0]["mirrors"].clone();
    let (was, is) = (mirrors(before), mirrors(spec));
    let Some(to) = is[0]["destination"]["host"].as_str() else {
        let gone = || ("traffic", Style::Red, format!("VirtualService {name} no longer mirrors requests"));
        return was[0].is_object().then(gone).into_iter().collect();
    };
    if was == is {
        return Vec::new();
    }
    let percent = is[0]["percentage"]["value"].as_f64().unwrap_or(100.0);
    vec![("traffic", Style::Green, format!("VirtualService {name} mirrors {percent} % of the requests to {to}"))]
}

/// A Service of the canary, created or deleted.
pub fn service(object: &Service, gone: bool) -> Vec<Line> {
    let name = object.name_any();
    let is_canarys = object.labels().contains_key(CANARY);
    match (is_canarys, gone) {
        (true, true) => vec![("canary", Style::Plain, format!("Service {name} deleted"))],
        // It is created once and never changed in this demo.
        (true, false) if object.metadata.generation.unwrap_or(1) == 1 => {
            vec![("canary", Style::Plain, format!("Service {name} created, for the canary's pods only"))]
        }
        _ => Vec::new(),
    }
}
