//! Reports what is being built, on stderr: a line that is redrawn at a terminal, plain lines elsewhere. Or to a
//! channel, if stderr shows something else.

use std::{
    io::{self, IsTerminal},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;

/// Without a terminal, one line in this time is enough to see progress.
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
    printed: Instant,
    shown: Shown<ProgressBar>,
}

/// Where progress is reported.
#[derive(Debug)]
enum Shown<B> {
    Terminal(B),
    Lines,
    Channel(watch::Sender<String>),
}

impl Progress {
    /// For at most `of` steps.
    pub fn new(of: usize) -> Self {
        let shown = if io::stderr().is_terminal() { Shown::Terminal(MultiProgress::new()) } else { Shown::Lines };
        Self { shown, of, begun: AtomicUsize::new(0) }
    }

    /// Reported to a channel, which holds the latest step.
    pub fn reported(of: usize, to: watch::Sender<String>) -> Self {
        Self { shown: Shown::Channel(to), of, begun: AtomicUsize::new(0) }
    }

    /// Starts the next step.
    pub fn step(&self, what: &str) -> Step {
        let nth = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let title = format!("[{nth}/{}] build {what}", self.of);
        let (title, shown) = match &self.shown {
            Shown::Terminal(bars) => (title.clone(), Shown::Terminal(bars.add(spinner(&title)))),
            Shown::Lines => (title, Shown::Lines),
            Shown::Channel(to) => (format!("{nth} of {}, {what}", self.of), Shown::Channel(to.clone())),
        };
        let now = Instant::now();
        let step = Step { title, started: now, printed: now, shown };
        step.announce();
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
    fn announce(&self) {
        match &self.shown {
            Shown::Terminal(_) => {}
            Shown::Lines => eprintln!("{}", self.title),
            Shown::Channel(to) => drop(to.send_replace(self.title.clone())),
        }
    }

    /// Reports what happens now.
    pub fn report(&mut self, message: &str) {
        match &self.shown {
            Shown::Terminal(bar) => bar.set_message(message.to_owned()),
            Shown::Lines if self.printed.elapsed() < PLAIN_EVERY => {}
            Shown::Lines => {
                self.printed = Instant::now();
                eprintln!("{}: {} s, {message}", self.title, self.started.elapsed().as_secs());
            }
            Shown::Channel(to) => drop(to.send_replace(format!("{}: {message}", self.title))),
        }
    }

    /// Reports how much is compiled.
    pub fn count(&mut self, compiled: usize, all: usize) {
        // Go prints a package when it starts to compile it; in the end everything is linked.
        match compiled < all * 99 / 100 {
            true => self.report(&format!("{compiled} of {all} packages")),
            false => self.report("linking"),
        }
    }

    /// Reports that it is built.
    pub fn done(self) {
        match self.shown {
            Shown::Terminal(bar) => bar.finish_with_message("done"),
            Shown::Lines => eprintln!("{}: done in {} s", self.title, self.started.elapsed().as_secs()),
            Shown::Channel(to) => drop(to.send_replace(format!("{}: done", self.title))),
        }
    }
}
