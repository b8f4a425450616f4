//! The page that `describe` prints. Sections come in the order in which they are needed.

use std::fmt::Write;

use jiff::Timestamp;

use super::items;
use crate::{
    api::{CanaryStatus, Condition, KanaryDeployment, KanaryDeploymentStatus, names},
    cli::{
        Error, clock,
        output::{BOLD, DIM, WARN, coloured, indented, styled},
        related::EventSummary,
        table,
        terminal::inline,
    },
    objects::{Object, Pod},
    traffic,
};

/// Everything on it.
pub struct Page<'a> {
    /// The run.
    pub kanary: &'a KanaryDeployment,
    /// Its pods, or why they are not known.
    pub pods: Result<&'a [Pod], &'a Error>,
    /// Its events, likewise.
    pub events: Result<&'a [EventSummary], &'a Error>,
    /// The time for which ages are shown.
    pub now: Timestamp,
}

impl Page<'_> {
    /// The page.
    #[must_use]
    pub fn text(&self) -> String {
        let sections = [
            self.head(),
            section("Timeline", self.timeline()),
            section("Validation", self.validation()),
            section("Pods", self.pods()),
            section("Conditions", self.conditions()),
            section("Events", self.events()),
        ];
        sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn status(&self) -> KanaryDeploymentStatus {
        self.kanary.status.clone().unwrap_or_default()
    }

    fn head(&self) -> String {
        let (kanary, status) = (self.kanary, self.status());
        let spec = &kanary.spec;
        let word = status.report.as_ref().map_or("-", |report| &report.status);
        let run =
            |run: i64| format!("{run}{}", status.run_id.iter().map(|id| format!(" (runID {id})")).collect::<String>());
        let lines = [
            ("Name", Some(kanary.name().to_owned())),
            ("Namespace", Some(kanary.namespace().to_owned())),
            ("Status", Some(coloured(word))),
            ("Message", status.message.clone()),
            ("Run", status.run.map(run)),
            ("Base", Some(self.base(&status))),
            ("Canary", status.canary.as_ref().map(canary)),
            ("Traffic", Some(format!("{}{}", spec.traffic.source.as_str(), self.service()))),
            ("Progress", Some(clock::progress(kanary, self.now).sentence(kanary))),
            ("Schedule", spec.schedule.map(clock::moment)),
            (
                "No update",
                spec.validation.no_update.then(|| "the Deployment is not changed, whatever the verdict".into()),
            ),
        ];
        let given = lines.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "{:<12}{value}", format!("{name}:"));
            text
        })
    }

    fn base(&self, status: &KanaryDeploymentStatus) -> String {
        let pinned = status.base.as_ref();
        let revision = pinned.and_then(|base| base.revision.as_ref());
        let revision =
            revision.map(|revision| format!(", revision {revision} at the start of the run")).unwrap_or_default();
        let created = if pinned.is_some_and(|base| base.created) { ", created from the template" } else { "" };
        format!("Deployment {}{revision}{created}", names::base(self.kanary))
    }

    fn service(&self) -> String {
        self.kanary.spec.service_name.as_ref().map(|name| format!(" (Service {name})")).unwrap_or_default()
    }

    fn timeline(&self) -> String {
        let status = self.status();
        let Some(started) = status.started_at else { return String::new() };
        let moments = [
            ("run started", Some(started)),
            ("canary ready, validation started", status.validation_started_at),
            (
                "evidence reset: a validation item was edited",
                status.evidence_since.filter(|at| Some(*at) != status.validation_started_at),
            ),
            ("validation paused", status.held_since.filter(|_| status.verdict_at.is_none())),
            ("verdict reached", status.verdict_at),
            ("canary removed", status.finished_at),
        ];
        let rows = moments.into_iter().filter_map(|(what, at)| {
            let at = at?;
            Some(format!("{}  {:>7}  {what}\n", clock::moment(at), format!("+{}", clock::age(started, at))))
        });
        rows.collect()
    }

    fn validation(&self) -> String {
        items::all(self.kanary).iter().map(|item| self.item(item)).collect()
    }

    fn item(&self, item: &items::Evaluated) -> String {
        let status = item.status.as_ref();
        let verdict = status.map_or_else(|| "-".into(), |status| coloured(&format!("{:?}", status.verdict)));
        let since =
            status.and_then(|status| status.since).map(|since| format!(" for {}", clock::age(since, self.until())));
        let mut text = format!("{}  {verdict}{}\n", styled(BOLD, inline(&item.name)), since.unwrap_or_default());
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let mut lines = value.lines();
                let _ = writeln!(text, "  {:<10}{}", format!("{name}:"), lines.next().unwrap_or_default());
                text += &indented(&lines.collect::<Vec<_>>().join("\n"), 12);
            }
        };
        line("Message", status.and_then(|status| status.message.clone()));
        line("Value", status.and_then(|status| status.value.clone()));
        line("Bound", status.and_then(|status| status.bound.clone()).or_else(|| Some(item.bound())));
        line("Failures", status.filter(|status| status.failures > 0).map(|status| status.failures.to_string()));
        line("Query", item.query());
        text
    }

    /// The ages of a run that is over no longer grow.
    fn until(&self) -> Timestamp {
        self.status().verdict_at.unwrap_or(self.now)
    }

    fn pods(&self) -> String {
        let columns = ["NAME", "READY", "PRODUCTION", "AGE", "REASON"];
        match self.pods {
            Ok([]) => String::new(),
            Ok(pods) => table::draw(Some(&columns), pods.iter().map(|pod| self.pod(pod)).collect()),
            Err(why) => unknown(why),
        }
    }

    fn pod(&self, pod: &Pod) -> Vec<String> {
        let is_in = pod.annotation(names::PRODUCTION_LABELS).is_some_and(|keys| !keys.is_empty());
        let production = match (traffic::was_in_production(pod), is_in) {
            (true, true) => "yes",
            (true, false) => "no longer",
            (false, _) => "-",
        };
        let created = pod.meta().creation_timestamp.as_ref().map(|time| clock::age(time.0, self.now));
        let trouble = pod.status.waiting.as_ref().map(|trouble| match trouble.message.as_str() {
            "" => styled(WARN, &trouble.reason),
            message => format!("{}: {message}", styled(WARN, &trouble.reason)),
        });
        let ready = if pod.is_terminating() {
            "terminating"
        } else if pod.status.ready {
            "yes"
        } else {
            "no"
        };
        vec![
            pod.name().to_owned(),
            ready.to_owned(),
            production.to_owned(),
            created.unwrap_or_default(),
            trouble.unwrap_or_else(|| "-".into()),
        ]
    }

    fn conditions(&self) -> String {
        let conditions = self.status().conditions;
        if conditions.is_empty() {
            return String::new();
        }
        table::draw(
            Some(&["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"]),
            conditions.iter().map(|c| self.condition(c)).collect(),
        )
    }

    fn condition(&self, condition: &Condition) -> Vec<String> {
        vec![
            format!("{:?}", condition.type_),
            format!("{:?}", condition.status),
            condition.reason.to_string(),
            clock::age(condition.last_transition_time, self.now),
            condition.message.clone(),
        ]
    }

    fn events(&self) -> String {
        match self.events {
            Ok(events) => events.iter().map(|event| event_line(event, self.now)).collect(),
            Err(why) => unknown(why),
        }
    }
}

/// One event, with its age.
#[must_use]
pub fn event_line(event: &EventSummary, now: Timestamp) -> String {
    let EventSummary { at, kind, reason, note, count } = event;
    let age = at.map(|at| clock::age(at, now)).unwrap_or_default();
    let style = if kind == "Warning" { WARN } else { DIM };
    let times = if *count > 1 { format!(" (x{count})") } else { String::new() };
    format!("{age:>7}  {}{times} {note}\n", styled(style, format!("{reason}:")))
}

fn unknown(why: &Error) -> String {
    format!("{}\n", styled(WARN, format!("cannot {why}")))
}

fn canary(canary: &CanaryStatus) -> String {
    let CanaryStatus { deployment, service, hpa, routes, ready_replicas, replicas, .. } = canary;
    let others = [("Service", service), ("HorizontalPodAutoscaler", hpa)];
    let others = others.into_iter().filter_map(|(kind, name)| Some(format!(", {kind} {}", name.as_ref()?)));
    let mirror = if routes.is_empty() { String::new() } else { format!(", mirror in {}", routes.join(" and ")) };
    format!("Deployment {deployment}, {ready_replicas} of {replicas} pods ready{}{mirror}", others.collect::<String>())
}

fn section(title: &str, text: String) -> String {
    if text.is_empty() { text } else { format!("{}\n{}", styled(BOLD, format!("{title}:")), indented(&text, 2)) }
}
