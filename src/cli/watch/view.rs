//! The screen of a watch: a pure function of its state, for any size from about 40 by 10.

use jiff::Timestamp;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Gauge, Paragraph, Wrap},
};

use super::state::State;
use crate::{
    api::{Phase, Verdict, names},
    cli::{
        clock,
        describe::items::{self, Evaluated},
        related::EventSummary,
    },
    objects::{Object, Pod},
};

/// More rows are cut off, so that every part has room on a small screen.
const MOST_ROWS: usize = 6;

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, state: &State, now: Timestamp) {
    let items = items::all(&state.kanary);
    let rows = |count: usize| Constraint::Length(u16::try_from(count.clamp(1, MOST_ROWS)).unwrap_or(1) + 2);
    let warning = state.warning(now);
    let [head, message, warnings, phases, progress, validation, pods, events] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Length(u16::from(!warning.is_empty())),
        Constraint::Length(1),
        Constraint::Length(1),
        rows(items.len()),
        rows(state.pods.len()),
        Constraint::Min(3),
    ])
    .areas(frame.area());
    let [head, keys] = Layout::horizontal([Constraint::Min(0), Constraint::Length(9)]).areas(head);
    frame.render_widget(title(state), head);
    frame.render_widget(Paragraph::new("  q: quit".dim()), keys);
    frame.render_widget(message_of(state), message);
    frame.render_widget(Paragraph::new(warning.yellow()), warnings);
    frame.render_widget(chain(state), phases);
    draw_progress(frame, progress, state, now);
    list(frame, validation, "Validation", items.iter().map(item_line).collect());
    list(frame, pods, "Pods", state.pods.values().map(|pod| pod_line(pod, now)).collect());
    let by_time = state.events_by_time();
    let room = usize::from(events.height.saturating_sub(2));
    list(frame, events, "Events", by_time.iter().rev().take(room).map(|event| event_line(event, now)).collect());
}

fn title(state: &State) -> Paragraph<'static> {
    let kanary = &state.kanary;
    let run =
        kanary.status.as_ref().and_then(|status| status.run).map(|run| format!("  run {run}")).unwrap_or_default();
    let id = format!("{}/{}", kanary.namespace(), kanary.name());
    let traffic = kanary.spec.traffic.source.as_str();
    let base = names::base(kanary);
    Paragraph::new(Line::from(vec![id.bold(), format!("  Deployment {base}  traffic {traffic}{run}").into()]))
}

fn message_of(state: &State) -> Paragraph<'static> {
    let message = state.kanary.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
    let text = if state.is_deleted { "the KanaryDeployment was deleted".to_owned() } else { message };
    Paragraph::new(text).wrap(Wrap { trim: true })
}

/// The phases that the run goes through, with the present one.
fn chain(state: &State) -> Paragraph<'static> {
    let Some(now) = state.phase() else { return Paragraph::new(state.word().yellow()) };
    let ends = match now {
        Phase::Failing | Phase::Failed => [Phase::Failing, Phase::Failed],
        Phase::Scheduled | Phase::Starting | Phase::Validating | Phase::Promoting | Phase::Succeeded => {
            [Phase::Promoting, Phase::Succeeded]
        }
    };
    let mut spans: Vec<Span<'static>> = Vec::new();
    for phase in [Phase::Starting, Phase::Validating].into_iter().chain(ends) {
        if !spans.is_empty() {
            spans.push(" › ".dim());
        }
        let word = format!("{phase:?}");
        spans.push(if phase == now { Span::styled(word, colour(phase)).bold() } else { word.dim() });
    }
    if now == Phase::Scheduled {
        spans.insert(0, "Scheduled".bold());
        spans.insert(1, " › ".dim());
    }
    Paragraph::new(Line::from(spans))
}

fn colour(phase: Phase) -> Style {
    match phase {
        Phase::Succeeded | Phase::Promoting => Style::new().fg(Color::Green),
        Phase::Failed | Phase::Failing => Style::new().fg(Color::Red),
        Phase::Scheduled | Phase::Starting | Phase::Validating => Style::new().fg(Color::Yellow),
    }
}

/// A bar, unless the run waits for an approval, which time alone does not bring.
fn draw_progress(frame: &mut Frame<'_>, area: Rect, state: &State, now: Timestamp) {
    let progress = clock::progress(&state.kanary, now);
    let label = progress.sentence(&state.kanary);
    let Some(ratio) = progress.ratio() else {
        return frame.render_widget(Paragraph::new(label.yellow()), area);
    };
    let colour = if progress.state == clock::State::Paused { Color::Yellow } else { Color::Green };
    let bar = Gauge::default().ratio(ratio).label(label).gauge_style(Style::new().fg(colour)).use_unicode(true);
    frame.render_widget(bar, area);
}

fn list(frame: &mut Frame<'_>, area: Rect, title: &'static str, lines: Vec<Line<'static>>) {
    let lines = if lines.is_empty() { vec![Line::from("-".dim())] } else { lines };
    let cut = lines.len().saturating_sub(usize::from(area.height.saturating_sub(2)));
    let title = if cut > 0 { format!(" {title} (and {cut} more) ") } else { format!(" {title} ") };
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), area);
}

fn item_line(Evaluated { name, status, .. }: &Evaluated) -> Line<'static> {
    let verdict = status.as_ref().map(|status| status.verdict);
    let (word, colour) = match verdict {
        Some(Verdict::Valid) => ("Valid", Color::Green),
        Some(Verdict::Invalid) => ("Invalid", Color::Red),
        Some(Verdict::Unknown) => ("Unknown", Color::Yellow),
        None => ("-", Color::Reset),
    };
    let value =
        status.as_ref().and_then(|status| status.value.clone()).map(|value| format!("{value}  ")).unwrap_or_default();
    let why = status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
    Line::from(vec![
        format!("{name:<16} ").into(),
        Span::styled(format!("{word:<8}"), colour),
        value.into(),
        why.into(),
    ])
}

fn pod_line(pod: &Pod, now: Timestamp) -> Line<'static> {
    let is_in = pod.annotation(names::PRODUCTION_LABELS).is_some_and(|keys| !keys.is_empty());
    let age = pod.meta().creation_timestamp.as_ref().map(|time| clock::age(time.0, now)).unwrap_or_default();
    let ready = match (pod.is_terminating(), pod.status.ready) {
        (true, _) => "terminating".dim(),
        (false, true) => "ready".green(),
        (false, false) => "not ready".yellow(),
    };
    let production = if is_in { ", in production" } else { "" };
    let trouble = pod.status.waiting.as_ref().map(|trouble| format!("  {}", trouble.reason)).unwrap_or_default();
    Line::from(vec![format!("{}  ", pod.name()).into(), ready, format!("{production}  {age}").into(), trouble.red()])
}

fn event_line(event: &EventSummary, now: Timestamp) -> Line<'static> {
    let age = event.at.map(|at| clock::age(at, now)).unwrap_or_default();
    let reason = format!("{} ", event.reason);
    let reason = if event.kind == "Warning" { reason.yellow() } else { reason.into() };
    Line::from(vec![format!("{age:>7}  ").dim(), reason, event.note.clone().into()])
}
