//! Objects whose rules can carry a mirror, in the terms that both providers share.

use serde_json::Value;

use crate::{
    api::{Explanation, names},
    decision::{Observed, Target},
};

/// A VirtualService or an HTTPRoute.
pub struct Carrier<'a> {
    pub target: Target,
    pub namespace: &'a str,
    /// The resourceVersion that guards a write.
    pub version: &'a str,
    /// The field manager, other than we, that last wrote it.
    pub writer: Option<&'a str>,
    /// Did this `KanaryDeployment` make it?
    pub is_own: bool,
    /// Do its gateways and meshes accept it as it is; if not, what they say.
    pub accepted: Result<(), String>,
    pub rules: Vec<Rule>,
}

/// One of its rules.
pub struct Rule {
    pub name: Option<String>,
    /// JSON pointer to its list of mirrors or filters.
    pub list: String,
    /// The length of that list; none if there is no list.
    pub length: Option<usize>,
    /// Which entries of it are ours.
    pub ours: Vec<Entry>,
    /// If it leads to the production Service: what it could carry.
    pub wanted: Option<Wanted>,
}

/// An entry of ours.
pub struct Entry {
    pub index: usize,
    /// The Service of ours that it sends copies to.
    pub service: String,
    /// Does it say what is wanted now?
    pub is_current: bool,
}

/// What a rule that leads to the production Service could carry.
pub struct Wanted {
    pub entry: Value,
    /// Where else it leads, so that copies would be of requests to others too.
    pub also_leads_to: Option<String>,
    /// Why it cannot carry the entry.
    pub refusal: Option<Explanation>,
    /// Is it limited to methods that change nothing?
    pub reads_only: bool,
}

impl Carrier<'_> {
    /// As the status names it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.target.kind.as_str(), self.target.name)
    }

    /// As a message names it.
    pub fn title(&self, home: &str) -> String {
        let Target { kind, name } = &self.target;
        let namespace = if self.namespace == home { String::new() } else { format!("{}/", self.namespace) };
        format!("{} {namespace}{name}", kind.as_str())
    }

    /// Does any rule carry an entry of ours?
    pub fn carries(&self) -> bool {
        self.entries().next().is_some()
    }

    /// All entries of ours.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.rules.iter().flat_map(|rule| &rule.ours)
    }
}

impl Rule {
    /// As a message names it.
    pub fn title(&self) -> String {
        self.name.as_ref().map_or_else(|| "a route without a name".into(), |name| format!("route {name}"))
    }

    /// Does it carry exactly what is wanted?
    pub fn is_current(&self) -> bool {
        matches!(self.ours[..], [Entry { is_current: true, .. }])
    }
}

/// The names that our Service has, had or gets: an entry to any of them is ours. An entry to somebody else's Service of that
/// name is theirs, unless the routes carried ours already.
pub fn own_services(seen: &Observed) -> Vec<String> {
    use crate::objects::Object;
    let made = seen.own_services().map(|service| service.name().to_owned());
    let carried = seen.canary_status().is_some_and(|canary| !canary.routes.is_empty());
    let is_free = |name: &String| carried || seen.service_named(name).is_none_or(|service| seen.is_ours(service));
    let named = seen.canary_status().and_then(|canary| canary.service.clone());
    made.chain(named.into_iter().chain([names::kanary_service(&seen.kanary)]).filter(is_free)).collect()
}

/// A list in JSON; nothing if there is none.
pub fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text in JSON; nothing if it is absent or empty.
pub fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A rule, from its list of entries and what tells ours from others'.
pub fn rule(
    json: &Value,
    list: (&str, String),
    wanted: Option<Wanted>,
    service_of_ours: impl Fn(&Value) -> Option<String>,
    says_the_same: impl Fn(&Value, &Value) -> bool,
) -> Rule {
    let (field, pointer) = list;
    let entry = |(index, entry): (usize, &Value)| {
        let is_current = wanted.as_ref().is_some_and(|wanted| says_the_same(entry, &wanted.entry));
        Some(Entry { index, service: service_of_ours(entry)?, is_current })
    };
    Rule {
        name: text(json, "name").map(str::to_owned),
        list: pointer,
        length: json.get(field).and_then(Value::as_array).map(Vec::len),
        ours: items(json, field).iter().enumerate().filter_map(entry).collect(),
        wanted,
    }
}

/// Are all of these methods such as change nothing?
pub fn are_reads<'a>(mut methods: impl Iterator<Item = Option<&'a str>>) -> bool {
    const READS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
    let first = methods.next();
    let is_read = |method: Option<&str>| method.is_some_and(|method| READS.contains(&method));
    first.is_some_and(is_read) && methods.all(is_read)
}
