//! A plan as text: what is assumed, what happens when, and how it ends.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::report::{Endpoints, Outcome, Report, Step, Write};
use crate::{
    api::{Phase, duration},
    cli::{
        Error,
        output::{BAD, BOLD, DIM, GOOD, WARN, indented, styled, yaml},
    },
    decision::Notice,
};

/// The whole plan.
///
/// # Errors
/// Never in practice.
pub fn text(report: &Report) -> Result<String, Error> {
    let Report { name, namespace, file, rejections, assumptions, steps, outcome } = report;
    let title = styled(BOLD, format!("KanaryDeployment {namespace}/{name}"));
    let mut text = format!("{title} {}\n", styled(DIM, format!("({file})")));
    for rejection in rejections {
        text += &format!("  {} {rejection}\n", styled(BAD, "rejected:"));
    }
    for assumption in assumptions {
        text += &format!("  {} {assumption}\n", styled(WARN, "assumed:"));
    }
    let mut phase = None;
    for step in steps {
        text += &step_lines(step, &mut phase)?;
    }
    text += &format!("\n{}\n", ending(name, outcome));
    Ok(text)
}

fn step_lines(step: &Step, phase: &mut Option<Phase>) -> Result<String, Error> {
    let mut text = String::new();
    if *phase != step.phase {
        let now = step.phase.map_or("", Phase::as_str);
        text += &format!("\n{:>7}  {}\n", since(step), styled(BOLD, now));
        *phase = step.phase;
    }
    if let Some(command) = &step.command {
        text += &format!("         {} {command}\n", styled(WARN, "assumed:"));
    }
    for write in &step.writes {
        text += &indented(&written(write)?, 9);
    }
    for endpoints in &step.services {
        text += &format!("         {}\n", selected(endpoints));
    }
    for event in &step.events {
        text += &format!("         {}\n", event_line(event));
    }
    Ok(text)
}

fn since(step: &Step) -> String {
    format!("+{}", duration::print(step.after))
}

fn selected(Endpoints { service, base, canary }: &Endpoints) -> String {
    let pods = |count: usize, of: &str| format!("{count} {of} {}", if count == 1 { "pod" } else { "pods" });
    format!("Service {service} selects {}, {}", pods(*base, "base"), pods(*canary, "canary"))
}

fn event_line(Notice { warning, reason, note }: &Notice) -> String {
    let style = if *warning { WARN } else { DIM };
    format!("{} {note}", styled(style, format!("event {reason}:")))
}

fn written(write: &Write) -> Result<String, Error> {
    let style = match write.verb {
        "delete" => BAD,
        _ => GOOD,
    };
    let mut text = format!("{} {} {}\n", styled(style, write.verb), write.kind, write.name);
    if let Some(object) = &write.object {
        text += &indented(&yaml(object)?, 2);
    }
    if let Some(patch) = &write.patch {
        text += &indented(&yaml(patch)?, 2);
    }
    if let (Some(before), Some(after)) = (&write.before, &write.after) {
        text += &indented(&diff(before, after)?, 2);
    }
    if let Some(labels) = &write.withheld_labels {
        text += &format!(
            "withheld from its pods: {}, so that no selector of production matches them\n",
            labels.replace(',', ", ")
        );
    }
    if let Some(error) = &write.error {
        text += &format!("{} {error}\n", styled(BAD, "rejected:"));
    }
    Ok(text)
}

/// The changed lines, with three lines of context.
///
/// # Errors
/// Never in practice.
pub fn diff(before: &Value, after: &Value) -> Result<String, Error> {
    let (before, after) = (yaml(before)?, yaml(after)?);
    let diff = TextDiff::from_lines(&before, &after);
    let mut text = String::new();
    for (index, group) in diff.grouped_ops(3).iter().enumerate() {
        if index > 0 {
            text += &format!("{}\n", styled(DIM, "…"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches('\n');
            text += &match change.tag() {
                ChangeTag::Delete => styled(BAD, format!("- {line}")),
                ChangeTag::Insert => styled(GOOD, format!("+ {line}")),
                ChangeTag::Equal => format!("  {line}"),
            };
            text.push('\n');
        }
    }
    Ok(text)
}

fn ending(name: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded { message } => format!("{}: {message}", styled(GOOD, format!("{name} would succeed"))),
        Outcome::Failed { message } => format!("{}: {message}", styled(BAD, format!("{name} would fail"))),
        Outcome::Stuck { reason, message } => {
            format!("{} ({reason}): {message}", styled(BAD, format!("{name} would get stuck")))
        }
        Outcome::Rejected => format!("{} by the API server", styled(BAD, format!("{name} would be rejected"))),
    }
}
