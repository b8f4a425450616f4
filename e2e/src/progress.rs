//! Says what is being built, on stderr: a line that moves at a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Where there is no terminal, one line in this time is enough to see that something moves.
const PLAIN_EVERY: Duration = Duration::from_secs(20);

/// Everything that is being built.
#[derive(Debug)]
pub struct Progress {
    bars: Option<MultiProgress>,
    of: usize,
    begun: AtomicUsize,
}

/// One thing that is being built.
#[derive(Debug)]
pub struct Step {
    title: String,
    started: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For at most `of` steps.
    pub fn new(of: usize) -> Self {
        let bars = io::stderr().is_terminal().then(MultiProgress::new);
        Self { bars, of, begun: AtomicUsize::new(0) }
    }

    /// Begins the next step.
    pub fn step(&self, what: &str) -> Step {
        let nth = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let title = format!("[{nth}/{}] build {what}", self.of);
        let now = Instant::now();
        let bar = self.bars.as_ref().map(|bars| bars.add(spinner(&title)));
        if bar.is_none() {
            eprintln!("{title}");
        }
        Step { title, started: now, told: now, bar }
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
    /// What happens now.
    pub fn says(&mut self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
        } else if self.told.elapsed() >= PLAIN_EVERY {
            self.told = Instant::now();
            eprintln!("{}: {} s, {message}", self.title, self.started.elapsed().as_secs());
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
        let line = format!("{}: done in {} s", self.title, self.started.elapsed().as_secs());
        match self.bar {
            Some(bar) => bar.finish_with_message("done"),
            None => eprintln!("{line}"),
        }
    }
}
