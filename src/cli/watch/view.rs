//! The screen of a watch: a pure function of its state, for any size from about 40 by 10. What there is room for is shown.

use jiff::Timestamp;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Clear, Gauge, Paragraph},
};

use super::{
    items::{in_full, in_one_line, wrap},
    shown,
    state::{Mode, State},
};
use crate::{
    api::{ManualStatus, Phase, names},
    cli::{clock, describe::items, images, related::EventSummary},
    objects::{Object, Pod},
};

/// On a small screen more rows are cut off, so that every part has room.
const MOST_ROWS: usize = 6;

const KEYS: [&str; 5] = ["a  approve", "r  reject", "?  this help", "q  quit", "any other key leaves the help"];

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, state: &State, now: Timestamp) {
    // The screen drops what has no width; what a text contains shall be seen, and wrapped as it is seen.
    let state = &shown::visible(state);
    let area = frame.area();
    let width = usize::from(area.width);
    let message = wrap(&message_of(state), width.max(1));
    let notice = notice_of(state, now);
    // Head, base, phases and progress; the message; and the frames of three lists, of which the events have a row at least.
    let fixed = 4 + message.len().max(1) + usize::from(notice.is_some()) + 2 + 2 + 3;
    let left = usize::from(area.height).saturating_sub(fixed);
    let (items, pods) = lists(state, now, width.saturating_sub(2), left);
    let rows = |count: usize| Constraint::Length(u16::try_from(count.max(1) + 2).unwrap_or(u16::MAX));
    let [head, base, reason, notices, phases, progress, of_items, of_pods, of_events] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(u16::try_from(message.len().max(1)).unwrap_or(1)),
        Constraint::Length(u16::from(notice.is_some())),
        Constraint::Length(1),
        Constraint::Length(1),
        rows(items.len()),
        rows(pods.len()),
        Constraint::Min(3),
    ])
    .areas(area);
    let [head, keys] = Layout::horizontal([Constraint::Min(0), Constraint::Length(18)]).areas(head);
    frame.render_widget(title(state), head);
    frame.render_widget(Paragraph::new("  ?: help  q: quit".dim()), keys);
    frame.render_widget(base_of(state), base);
    frame.render_widget(Paragraph::new(message.into_iter().map(Line::from).collect::<Vec<_>>()), reason);
    frame.render_widget(Paragraph::new(notice.unwrap_or_default()), notices);
    frame.render_widget(chain(state), phases);
    draw_progress(frame, progress, state, now);
    list(frame, of_items, "Validation", items);
    list(frame, of_pods, "Pods", pods);
    let by_time = state.events_by_time();
    let room = usize::from(of_events.height.saturating_sub(2));
    list(frame, of_events, "Events", by_time.iter().rev().take(room).map(|event| event_line(event, now)).collect());
    if state.mode == Mode::Help {
        help(frame, area);
    }
}

/// The rows of items and pods: all there is to say, if there is room for it.
fn lists(state: &State, now: Timestamp, width: usize, left: usize) -> (Vec<Line<'static>>, Vec<Line<'static>>) {
    let items = items::all(&state.kanary);
    let pods: Vec<Line> = state.pods.values().map(|pod| pod_line(pod, now)).collect();
    let full: Vec<Line> = items.iter().flat_map(|item| in_full(state, item, width)).collect();
    if full.len().max(1) + pods.len().max(1) <= left {
        return (full, pods);
    }
    let short: Vec<Line> = items.iter().flat_map(|item| in_one_line(item, width)).collect();
    (first(short), first(pods))
}

/// The first rows; the last of them says how many more there are.
fn first(mut lines: Vec<Line<'static>>) -> Vec<Line<'static>> {
    if lines.len() > MOST_ROWS {
        let more = lines.len() + 1 - MOST_ROWS;
        lines.truncate(MOST_ROWS - 1);
        lines.push(Line::from(format!("and {more} more").dim()));
    }
    lines
}

fn title(state: &State) -> Paragraph<'static> {
    let kanary = &state.kanary;
    let run =
        kanary.status.as_ref().and_then(|status| status.run).map(|run| format!("  run {run}")).unwrap_or_default();
    let id = format!("{}/{}", kanary.namespace(), kanary.name());
    let traffic = kanary.spec.traffic.source.as_str();
    Paragraph::new(Line::from(vec![id.bold(), format!("  traffic {traffic}{run}").into()]))
}

/// The base and its pods, and what the run would change.
fn base_of(state: &State) -> Paragraph<'static> {
    let old = state.base.as_ref().map(images::of_deployment);
    let change = images::change(old.as_ref(), &images::of_template(&state.kanary));
    let pods = state.base.as_ref().map(|base| {
        let status = base.status.clone().unwrap_or_default();
        let ready = status.ready_replicas.unwrap_or_default();
        format!(", {ready} of {} pods ready", status.replicas.unwrap_or_default())
    });
    let name = format!("Deployment {}{}  ", names::base(&state.kanary), pods.unwrap_or_default());
    Paragraph::new(Line::from(vec![name.into(), images::in_short(&change).bold()]))
}

fn message_of(state: &State) -> String {
    let message = state.kanary.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
    if state.is_deleted { "the KanaryDeployment was deleted".to_owned() } else { message }
}

/// A question, what became of an answer, or what cannot be read.
fn notice_of(state: &State, now: Timestamp) -> Option<Line<'static>> {
    let name = state.kanary.name();
    let question = match state.mode {
        Mode::Confirm(ManualStatus::Valid) => Some(format!("approve {name}? y: yes, any other key: no")),
        Mode::Confirm(ManualStatus::Invalid) => Some(format!("reject {name}? y: yes, any other key: no")),
        Mode::Usual | Mode::Help => None,
    };
    let warning = Some(state.warning(now)).filter(|warning| !warning.is_empty());
    let question = question.or_else(|| state.notice.clone()).map(|text| Line::from(text.bold()));
    question.or_else(|| warning.map(|text| Line::from(text.yellow())))
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
        let word = phase.as_str();
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
        return frame.render_widget(Paragraph::new(format!("{label}  (a: approve, r: reject)").yellow()), area);
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

fn help(frame: &mut Frame<'_>, area: Rect) {
    let [_, middle, _] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(7), Constraint::Fill(1)]).areas(area);
    let [_, middle, _] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(34), Constraint::Fill(1)]).areas(middle);
    frame.render_widget(Clear, middle);
    list(frame, middle, "Keys", KEYS.into_iter().map(Line::from).collect());
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
