//! Draws a text of docs/drawings as SVG. Its README describes the format.

use crate::palette::{Style, Theme};

const TITLE: f64 = 13.0;
const LINE: f64 = 12.0;
const LEADING: f64 = 17.0;
const POD: f64 = 15.0;
/// From one pod to the next, and how far a row of them is below a line of text.
const POD_STEP: f64 = 21.0;
const POD_LEADING: f64 = 22.0;
const FONT: &str = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif";
const SUCCEEDING: [&str; 5] = ["Scheduled", "Starting", "Validating", "Promoting", "Succeeded"];
const FAILING: [&str; 5] = ["Scheduled", "Starting", "Validating", "Failing", "Failed"];

type Point = (f64, f64);

/// A box: its name, where it is, and what is in it.
struct Node<'a> {
    name: &'a str,
    style: &'a str,
    at: Point,
    size: Point,
    lines: Vec<&'a str>,
}

/// What is drawn so far.
struct Drawing<'a> {
    theme: &'a Theme,
    size: Option<Point>,
    nodes: Vec<Node<'a>>,
}

/// The SVG of a text.
///
/// # Errors
/// The line that is wrong, and why.
pub fn draw(text: &str, theme: &Theme) -> Result<String, String> {
    let mut drawing = Drawing { theme, size: None, nodes: Vec::new() };
    let mut shapes = String::new();
    for (index, line) in text.lines().enumerate() {
        if !line.trim().is_empty() && !line.starts_with('#') {
            shapes += &drawing.statement(line).map_err(|why| format!("line {}: {why}", index + 1))?;
        }
    }
    let (width, height) = drawing.size.ok_or("there is no `size`")?;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\" font-size=\"{LINE}\">\n{shapes}</svg>\n"
    ))
}

impl<'a> Drawing<'a> {
    fn statement(&mut self, line: &'a str) -> Result<String, String> {
        let mut parts = line.split('|').map(str::trim);
        let words: Vec<&str> = parts.next().unwrap_or_default().split_whitespace().collect();
        let lines: Vec<&str> = parts.collect();
        match words[..] {
            ["size", measure] => {
                self.size = Some(pair(measure, 'x')?);
                Ok(String::new())
            }
            ["phase", phase] => strip(phase, self.size.ok_or("`size` comes first")?.0, self.theme),
            ["box", name, style, at, measure] => {
                let node = Node { name, style, at: pair(at, ',')?, size: pair(measure, 'x')?, lines };
                let drawn = node.draw(self.theme)?;
                self.nodes.push(node);
                Ok(drawn)
            }
            ["arrow", style, from, to] => {
                let (from, to) = (end(&self.nodes, from)?, end(&self.nodes, to)?);
                arrow(style, &from, &to, lines.first().copied(), self.theme)
            }
            _ => Err(format!("not understood: {line}")),
        }
    }
}

fn pair(text: &str, between: char) -> Result<Point, String> {
    let numbers = text.split_once(between).and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers.ok_or_else(|| format!("{text} is not two numbers with `{between}` between them"))
}

impl Node<'_> {
    fn draw(&self, theme: &Theme) -> Result<String, String> {
        let (x, y) = self.at;
        let (width, height) = self.size;
        let Style { fill, stroke, .. } = theme.style(self.style)?;
        let dash = if self.style == "ghost" { " stroke-dasharray=\"5 4\"" } else { "" };
        let mut svg = format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{fill}\" \
             stroke=\"{stroke}\" stroke-width=\"1.5\"{dash}/>\n"
        );
        let block: f64 = self.lines.iter().skip(1).map(|line| leading(line)).sum();
        let mut middle = y + (height - block) / 2.0;
        for (index, line) in self.lines.iter().enumerate() {
            middle += if index == 0 { 0.0 } else { leading(line) };
            let center = (x + width / 2.0, middle);
            svg += &if is_pods(line) { pods(line, center, stroke) } else { words(line, center, index == 0, theme) };
        }
        Ok(svg)
    }
}

fn leading(line: &str) -> f64 {
    if is_pods(line) { POD_LEADING } else { LEADING }
}

fn is_pods(line: &str) -> bool {
    !line.is_empty() && line.chars().all(|c| matches!(c, '●' | '○'))
}

fn words(line: &str, (x, y): Point, is_title: bool, theme: &Theme) -> String {
    let (size, weight, color) = if is_title { (TITLE, "600", theme.text) } else { (LINE, "400", theme.muted) };
    format!(
        "<text x=\"{x}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"{size}\" font-weight=\"{weight}\" \
         fill=\"{color}\">{}</text>\n",
        y + size * 0.36,
        escape(line)
    )
}

/// A row of pods: ready ones are filled.
fn pods(line: &str, (x, y): Point, color: &str) -> String {
    let steps: f64 = line.chars().skip(1).map(|_| POD_STEP).sum();
    let mut left = x - (steps + POD) / 2.0;
    let mut svg = String::new();
    for pod in line.chars() {
        let fill = if pod == '●' { color } else { "none" };
        svg += &format!(
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{POD}\" height=\"{POD}\" rx=\"4\" fill=\"{fill}\" \
             stroke=\"{color}\" stroke-width=\"1.5\"/>\n",
            y - POD / 2.0
        );
        left += POD_STEP;
    }
    svg
}

/// The phases, with the current one marked.
fn strip(phase: &str, width: f64, theme: &Theme) -> Result<String, String> {
    const CHIP: f64 = 96.0;
    const GAP: f64 = 22.0;
    let phases = if FAILING[3..].contains(&phase) { FAILING } else { SUCCEEDING };
    if !phases.contains(&phase) {
        return Err(format!("there is no phase {phase}"));
    }
    let mut x = (width - 5.0 * CHIP - 4.0 * GAP) / 2.0;
    let mut svg = String::new();
    for (index, name) in phases.into_iter().enumerate() {
        if index > 0 {
            let (between, muted) = (x - GAP / 2.0, theme.muted);
            svg += &format!("<text x=\"{between}\" y=\"24.3\" text-anchor=\"middle\" fill=\"{muted}\">›</text>\n");
        }
        let is_current = name == phase;
        let Style { fill, stroke, .. } = theme.style(if is_current { mark(phase) } else { "plain" })?;
        let (color, weight) = if is_current { (theme.text, "600") } else { (theme.muted, "400") };
        svg += &format!(
            "<rect x=\"{x}\" y=\"8\" width=\"{CHIP}\" height=\"24\" rx=\"12\" fill=\"{fill}\" stroke=\"{stroke}\"/>\n\
             <text x=\"{}\" y=\"24.3\" text-anchor=\"middle\" font-weight=\"{weight}\" fill=\"{color}\">{name}</text>\n",
            x + CHIP / 2.0
        );
        x += CHIP + GAP;
    }
    Ok(svg)
}

fn mark(phase: &str) -> &'static str {
    match phase {
        "Failing" | "Failed" => "bad",
        "Succeeded" => "good",
        _ => "control",
    }
}

/// A place on the border of a box, and the direction that leads away from it.
struct End {
    at: Point,
    away: Point,
}

impl End {
    fn off(&self, distance: f64) -> Point {
        (self.at.0 + distance * self.away.0, self.at.1 + distance * self.away.1)
    }
}

/// `name.side`, `name.side+10` or `name.side-10`; sides are left, right, top and bottom.
fn end(nodes: &[Node], text: &str) -> Result<End, String> {
    let (name, rest) = text.split_once('.').ok_or_else(|| format!("{text} names no side of a box"))?;
    let node = nodes.iter().find(|node| node.name == name).ok_or_else(|| format!("there is no box {name} above"))?;
    let (side, shift) = rest.split_at(rest.find(['+', '-']).unwrap_or(rest.len()));
    let shift: f64 =
        if shift.is_empty() { 0.0 } else { shift.parse().map_err(|_| format!("{shift}: not a number"))? };
    let ((x, y), (width, height)) = (node.at, node.size);
    let (across, down) = (x + width / 2.0 + shift, y + height / 2.0 + shift);
    match side {
        "left" => Ok(End { at: (x, down), away: (-1.0, 0.0) }),
        "right" => Ok(End { at: (x + width, down), away: (1.0, 0.0) }),
        "top" => Ok(End { at: (across, y), away: (0.0, -1.0) }),
        "bottom" => Ok(End { at: (across, y + height), away: (0.0, 1.0) }),
        _ => Err(format!("{side} is not a side: left, right, top, bottom")),
    }
}

/// A curve that leaves and enters boxes at right angles, its head, and its label.
fn arrow(style: &str, from: &End, to: &End, text: Option<&str>, theme: &Theme) -> Result<String, String> {
    let (color, dash) = theme.arrow(style)?;
    let (start, tip, neck) = (from.off(2.0), to.off(3.0), to.off(10.0));
    let reach = ((neck.0 - start.0).abs() + (neck.1 - start.1).abs()) * 0.4;
    let (one, two) = (from.off(2.0 + reach), to.off(10.0 + reach));
    let mut svg = format!(
        "<path d=\"M{:.1} {:.1} C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}\" fill=\"none\" stroke=\"{color}\" \
         stroke-width=\"1.8\"{dash}/>\n",
        start.0, start.1, one.0, one.1, two.0, two.1, neck.0, neck.1
    );
    let (left, right) =
        ((neck.0 + 4.5 * to.away.1, neck.1 + 4.5 * to.away.0), (neck.0 - 4.5 * to.away.1, neck.1 - 4.5 * to.away.0));
    svg += &format!(
        "<path d=\"M{:.1} {:.1} L{:.1} {:.1} L{:.1} {:.1} Z\" fill=\"{color}\"/>\n",
        tip.0, tip.1, left.0, left.1, right.0, right.1
    );
    let middle = |a: f64, b: f64, c: f64, d: f64| (a + 3.0 * b + 3.0 * c + d) / 8.0;
    let center = (middle(start.0, one.0, two.0, neck.0), middle(start.1, one.1, two.1, neck.1));
    let is_steep = (tip.1 - start.1).abs() > 1.5 * (tip.0 - start.0).abs();
    Ok(svg + &text.map(|text| label(text, center, is_steep, theme)).unwrap_or_default())
}

/// Above the middle of an arrow, beside it if that is steep; with a rim in the page's color, because it may touch a line.
fn label(text: &str, (x, y): Point, is_steep: bool, theme: &Theme) -> String {
    let (x, y, anchor) = if is_steep { (x + 8.0, y + 4.0, "start") } else { (x, y - 7.0, "middle") };
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{}\" stroke=\"{}\" stroke-width=\"4\" \
         stroke-linejoin=\"round\" paint-order=\"stroke\">{}</text>\n",
        theme.muted,
        theme.page,
        escape(text)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
