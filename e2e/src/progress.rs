//! Says what is being built, on stderr: a line that moves at a terminal, plain lines elsewhere. Or to somebody who shows
//! something else meanwhile.

use std::{
    io::{self, IsTerminal},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;

/// Where there is no terminal, one line in this time is enough to see that something moves.
const PLAIN_EVERY: Duration = Duration::from_secs(20);

/// Everything that is being built.
#[derive(Debug)]
pub struct Progress {
    shown: Shown<MultiProgress>,
    of: usize,
    begun: AtomicUsize,
}

/// One thing that is being built.
#[derive(Debug)]
pub struct Step {
    title: String,
    started: Instant,
    told: Instant,
    shown: Shown<ProgressBar>,
}

/// To whom.
#[derive(Debug)]
enum Shown<B> {
    Terminal(B),
    Lines,
    Told(watch::Sender<String>),
}

impl Progress {
    /// For at most `of` steps.
    pub fn new(of: usize) -> Self {
        let shown = if io::stderr().is_terminal() { Shown::Terminal(MultiProgress::new()) } else { Shown::Lines };
        Self { shown, of, begun: AtomicUsize::new(0) }
    }

    /// For somebody who is told the last of it.
    pub fn reported(of: usize, to: watch::Sender<String>) -> Self {
        Self { shown: Shown::Told(to), of, begun: AtomicUsize::new(0) }
    }

    /// Begins the next step.
    pub fn step(&self, what: &str) -> Step {
        let nth = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let title = format!("[{nth}/{}] build {what}", self.of);
        let (title, shown) = match &self.shown {
            Shown::Terminal(bars) => (title.clone(), Shown::Terminal(bars.add(spinner(&title)))),
            Shown::Lines => (title, Shown::Lines),
            Shown::Told(to) => (format!("{nth} of {}, {what}", self.of), Shown::Told(to.clone())),
        };
        let now = Instant::now();
        let step = Step { title, started: now, told: now, shown };
        step.begins();
        step
    }
}

fn spinner(title: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_prefix(title.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {msg:.dim}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

impl Step {
    fn begins(&self) {
        match &self.shown {
            Shown::Terminal(_) => {}
            Shown::Lines => eprintln!("{}", self.title),
            Shown::Told(to) => drop(to.send_replace(self.title.clone())),
        }
    }

    /// What happens now.
    pub fn says(&mut self, message: &str) {
        match &self.shown {
            Shown::Terminal(bar) => bar.set_message(message.to_owned()),
            Shown::Lines if self.told.elapsed() < PLAIN_EVERY => {}
            Shown::Lines => {
                self.told = Instant::now();
                eprintln!("{}: {} s, {message}", self.title, self.started.elapsed().as_secs());
            }
            Shown::Told(to) => drop(to.send_replace(format!("{}: {message}", self.title))),
        }
    }

    /// How far it is.
    pub fn counts(&mut self, compiled: usize, all: usize) {
        // A package comes up when its turn has come, and at last everything is linked.
        match compiled < all * 99 / 100 {
            true => self.says(&format!("{compiled} of {all} packages")),
            false => self.says("linking"),
        }
    }

    /// It is built.
    pub fn done(self) {
        match self.shown {
            Shown::Terminal(bar) => bar.finish_with_message("done"),
            Shown::Lines => eprintln!("{}: done in {} s", self.title, self.started.elapsed().as_secs()),
            Shown::Told(to) => drop(to.send_replace(format!("{}: done", self.title))),
        }
    }
}
