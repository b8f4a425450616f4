//! What the user sees: 80 columns, colours only where they are wanted, and at a terminal a last line that is redrawn.

use std::{
    cell::Cell,
    env,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

const WIDTH: usize = 80;
/// The elapsed time and the actor, together.
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

/// Erases a line that is redrawn.
const ERASE: &str = "\r\x1b[K";

/// The terminal, or whatever stdout is.
pub struct Screen {
    terminal: bool,
    colours: bool,
    since: Instant,
    /// Is the last line one that is redrawn?
    redrawn: Cell<bool>,
    printed: Cell<Option<Instant>>,
}

impl Screen {
    /// A screen whose clock starts now.
    pub fn new() -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let terminal = io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let (redrawn, printed) = Default::default();
        Self { terminal, colours: wanted && terminal, since: Instant::now(), redrawn, printed }
    }

    /// Restarts its clock.
    pub fn restart(&mut self) {
        self.since = Instant::now();
        self.printed.set(None);
    }

    /// A heading.
    pub fn title(&self, text: &str) {
        let under = "─".repeat(text.chars().count());
        self.print(&format!("\n{}\n{}\n", self.paint(Style::Bold, text), self.paint(Style::Dim, &under)));
    }

    /// A paragraph.
    pub fn text(&self, text: &str) {
        self.print(&format!("{}\n", wrapped(text, WIDTH).join("\n")));
    }

    /// A command or a piece of a file, verbatim.
    pub fn code(&self, text: &str) {
        for line in text.lines() {
            self.print(&format!("    {}", self.paint(Style::Dim, line)));
        }
    }

    /// What a program printed, verbatim: kubectl's tables need all 80 columns.
    pub fn output(&self, text: &str) {
        self.print(&self.paint(Style::Dim, text));
    }

    /// An empty line.
    pub fn gap(&self) {
        self.print("");
    }

    /// Something that happened: when, what it concerns or who did it, and what it was.
    pub fn line(&self, who: &str, style: Style, text: &str) {
        let mut lines = wrapped(text, WIDTH - MARGIN).into_iter();
        self.print(&self.stamped(who, style, &lines.next().unwrap_or_default()));
        for line in lines {
            self.print(&format!("{}{}", " ".repeat(MARGIN), self.paint(style, &line)));
        }
    }

    /// What is under way: at a terminal one line that is redrawn, elsewhere a line every so often.
    pub fn progress(&self, who: &str, text: &str, plain_every: Duration) {
        let line = self.stamped(who, Style::Plain, &cut(text, WIDTH - MARGIN));
        if self.terminal {
            print!("{ERASE}{line}");
            // It is redrawn in a moment: an error loses nothing.
            let _ = io::stdout().flush();
            self.redrawn.set(true);
        } else if self.printed.get().is_none_or(|printed| printed.elapsed() >= plain_every) {
            self.printed.set(Some(Instant::now()));
            self.print(&line);
        }
    }

    fn stamped(&self, who: &str, style: Style, text: &str) -> String {
        let elapsed = elapsed(self.since.elapsed());
        format!("{} {who:<11} {}", self.paint(Style::Dim, &elapsed), self.paint(style, text))
    }

    /// Lines that stay.
    fn print(&self, text: &str) {
        let erase = if self.redrawn.take() { ERASE } else { "" };
        println!("{erase}{text}");
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

/// At most `width` characters: a line that wraps cannot be redrawn.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
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
