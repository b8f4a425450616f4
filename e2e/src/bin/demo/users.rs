//! Users of production: requests to the ready pods behind Service web, and what they got. No mesh is needed.

use std::time::{Duration, Instant};

use kanary_e2e::{
    Error,
    load::{Answer, Load, Report, Running, endpoints::Endpoints, report::listed},
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    run::{BASE, Demo, NAMESPACE, PATIENCE, nothing_happened},
    screen::Style,
    view::View,
};

/// Requests a second, and their maximum in one part: ten minutes.
const RATE: f64 = 40.0;
const MOST: usize = 24_000;
/// How many requests reach production with bad pods in it before anybody reacts: the same number in each part.
const UNNOTICED: usize = 200;
/// How often the counts are read, and how often they are shown where no line can be redrawn.
const BEAT: Duration = Duration::from_millis(250);
const PLAIN_EVERY: Duration = Duration::from_secs(5);

impl Demo {
    /// Users come.
    pub async fn users(&self) -> Result<Running, Error> {
        let endpoints = Endpoints::watch(self.client.clone(), NAMESPACE, BASE, None).await?;
        let load = Load::to_service(endpoints, BASE).count(MOST).per_second(RATE).start();
        self.screen.line(
            "users",
            Style::Yellow,
            &format!("{RATE} requests a second to the ready pods of Service {BASE}"),
        );
        Ok(load)
    }

    /// Nobody notices for a while that something is wrong.
    pub async fn unnoticed(&mut self, load: &Running) -> Result<(), Error> {
        let until = load.so_far(|_| true) + UNNOTICED;
        self.until_counted(load, counts, |_, load| load.so_far(|_| true) >= until).await
    }

    /// Users leave. Returns how many errors they saw.
    pub async fn users_leave(&self, load: Running) -> Result<usize, Error> {
        let report = load.stop().await?;
        let (all, errors) = (report.answers.len(), report.errors());
        self.screen.line("users", Style::Bold, &format!("{all} requests, {errors} errors: {}", by_pods(&report)));
        Ok(errors)
    }

    /// Shows what happens until `met`, and the counts.
    pub async fn until_counted(
        &mut self,
        load: &Running,
        counts: impl Fn(&Self, &Running) -> Result<String, Error>,
        met: impl Fn(&View, &Running) -> bool,
    ) -> Result<(), Error> {
        let (mut beat, mut heard) = (interval(BEAT), Instant::now());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !met(&self.view, load) {
            self.check()?;
            tokio::select! {
                lines = self.view.next() => {
                    heard = Instant::now();
                    self.show(lines?);
                }
                _ = beat.tick() => self.screen.progress("counted", &counts(self, load)?, PLAIN_EVERY),
            }
            if heard.elapsed() > PATIENCE {
                return Err(nothing_happened());
            }
        }
        Ok(())
    }
}

/// How many so far.
pub fn counts(_: &Demo, load: &Running) -> Result<String, Error> {
    let (all, errors) = (load.so_far(|_| true), load.so_far(Answer::is_error));
    Ok(format!("{all} requests, {errors} errors so far"))
}

/// Production's pods and the canary's, apart.
fn by_pods(report: &Report) -> String {
    let (canary, base): (Vec<&Answer>, Vec<&Answer>) = report.answers.iter().partition(|answer| is_of_a_canary(answer));
    let statuses = |answers: Vec<&Answer>| {
        let answers = answers.into_iter().cloned().collect();
        listed(&Report { answers, ..report.clone() }.statuses())
    };
    match canary.is_empty() {
        true => statuses(base),
        false => format!("the base {}; the canary {}", statuses(base), statuses(canary)),
    }
}

/// Did a canary's pod give it?
pub fn is_of_a_canary(answer: &Answer) -> bool {
    answer.from.contains("-kanary-")
}
