//! What the person sees: 80 columns, and colours only where they are wanted.

use std::env;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

const WIDTH: usize = 80;
/// Of the elapsed time and of who acts, together.
const MARGIN: usize = 21;

/// A colour or weight, as an ANSI code.
#[derive(Clone, Copy)]
pub enum Style {
    Plain,
    Bold,
    Dim,
    Green,
    Red,
    Yellow,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Plain => "0",
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Green => "1;32",
            Style::Red => "1;31",
            Style::Yellow => "1;33",
        }
    }
}

/// The terminal, or what is in its place.
#[derive(Clone)]
pub struct Screen {
    colours: bool,
    since: Instant,
}

impl Screen {
    /// A screen whose clock starts now.
    pub fn new() -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colours: wanted && io::stdout().is_terminal(), since: Instant::now() }
    }

    /// The same, and its clock starts again.
    pub fn restarted(&self) -> Self {
        Self { since: Instant::now(), ..self.clone() }
    }

    /// A heading.
    pub fn title(&self, text: &str) {
        println!(
            "\n{}\n{}\n",
            self.paint(Style::Bold, text),
            self.paint(Style::Dim, &"─".repeat(text.chars().count()))
        );
    }

    /// A paragraph.
    pub fn text(&self, text: &str) {
        println!("{}\n", wrapped(text, WIDTH).join("\n"));
    }

    /// A command or a piece of a file, as it is.
    pub fn code(&self, text: &str) {
        for line in text.lines() {
            println!("    {}", self.paint(Style::Dim, line));
        }
    }

    /// What a program printed, as it is: kubectl's tables need all 80 columns.
    pub fn output(&self, text: &str) {
        println!("{}", self.paint(Style::Dim, text));
    }

    /// An empty line.
    pub fn gap(&self) {
        println!();
    }

    /// Something that happened: when, to whom or by whom, and what.
    pub fn line(&self, who: &str, style: Style, text: &str) {
        let elapsed = elapsed(self.since.elapsed());
        let mut lines = wrapped(text, WIDTH - MARGIN).into_iter();
        let first = lines.next().unwrap_or_default();
        println!("{} {who:<11} {}", self.paint(Style::Dim, &elapsed), self.paint(style, &first));
        for line in lines {
            println!("{}{}", " ".repeat(MARGIN), self.paint(style, &line));
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if !self.colours || matches!(style, Style::Plain) || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{}m{text}\x1b[0m", style.code())
    }
}

fn elapsed(time: Duration) -> String {
    format!("{:6.2} s", time.as_secs_f64())
}

/// Lines of at most `width`, broken at spaces; a word that is longer stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
