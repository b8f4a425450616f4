//! One history: a scene, a stretch of chance with faults, and then calm, in which everything must come to rest.

use jiff::{SignedDuration, Timestamp};
use kanary::decision::{Absence, Action};

use crate::{
    checker::{Check, Checker, Violation, ensure},
    coverage::Coverage,
    deployments::Deployments,
    machinery,
    mutant::Mutant,
    person,
    prometheus::Mood,
    request::Weather,
    rest,
    rng::Rng,
    routes, scene,
    server::{Actor, Kind, Server},
    shell::{Deed, Shell},
};

/// In calm, so many rounds are enough for anything.
const PATIENCE: usize = 400;

pub struct World {
    pub server: Server,
    pub checker: Checker,
    pub leader: Option<Shell>,
    deployments: Deployments,
    deposed: Vec<Shell>,
    rng: Rng,
    weather: Weather,
    mutant: Mutant,
    mood: Mood,
    /// The last answer of Prometheus.
    answered_at: Timestamp,
    /// The last sign of life of a leader, as its Lease says.
    renewed: Timestamp,
    absences: Vec<Absence>,
    trace: Option<Vec<String>>,
}

/// A broken law, and what led to it.
pub struct Failure {
    pub violation: Violation,
    pub trace: Vec<String>,
}

/// Runs the history of a seed.
pub fn run(seed: u64, mutant: Mutant, traced: bool) -> Result<Coverage, Failure> {
    let mut world = World::new(seed, mutant, traced);
    match world.live() {
        Ok(()) => Ok(world.checker.coverage),
        Err(violation) => Err(Failure { violation, trace: world.trace.unwrap_or_default() }),
    }
}

fn is_of_route(action: &Action) -> bool {
    action.target().kind == kanary::decision::Kind::VirtualService
}

impl World {
    fn new(seed: u64, mutant: Mutant, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut server = Server::default();
        scene::set(&mut server, &mut rng);
        let weather = rng.pick(&[
            Weather::default(),
            Weather::default(),
            Weather { refused: 20, lost: 20 },
            Weather { refused: 80, lost: 120 },
        ]);
        Self {
            leader: Some(Shell::start(&server, Vec::new(), mutant)),
            renewed: server.now,
            answered_at: Timestamp::MIN,
            server,
            checker: Checker::default(),
            deployments: Deployments::default(),
            deposed: Vec::new(),
            rng,
            weather,
            mutant,
            mood: Mood::True,
            absences: Vec::new(),
            trace: traced.then(Vec::new),
        }
    }

    fn live(&mut self) -> Check {
        self.checker.check(&mut self.server, &Deed::Nothing)?;
        let steps = 60 + self.rng.below(160);
        // Some histories are quiet, so that a canary has the time to be proven.
        let (person, chaos) = self.rng.pick(&[(1, 1), (4, 2), (12, 6), (30, 10)]);
        for _ in 0..steps {
            self.step(person, chaos)?;
        }
        self.rest()
    }

    fn step(&mut self, person: usize, chaos: usize) -> Check {
        let moment = i64::try_from(self.rng.below(800)).unwrap_or_default();
        self.pass(SignedDuration::from_millis(moment));
        if self.leader.as_ref().is_some_and(Shell::is_about_to_promote) && self.rng.percent(5) {
            self.note(|_| "a person edits the base at the worst moment".into());
            person::edit_base(&mut self.server);
            self.check(&Deed::Nothing)?;
        }
        if self.leader.as_ref().is_some_and(Shell::is_about_to_write_a_route) && self.rng.percent(8) {
            self.note(|_| "a person edits the route at the worst moment".into());
            routes::add_mirror(&mut self.server);
            self.check(&Deed::Nothing)?;
        }
        if routes::is_mirrored(&self.server) && self.rng.percent(1) {
            self.note(|_| "an agent of GitOps puts the route back to what is in Git".into());
            routes::revert(&mut self.server);
            self.check(&Deed::Nothing)?;
        }
        let weights = [60, 60, 25, 6, 150, 200, 20, person * 5, chaos, 30, 25, 60, 5];
        match self.rng.weighted(&weights) {
            0 => drop(self.deployments.step(&mut self.server, &mut self.rng, false)),
            1 => drop(machinery::kubelet(&mut self.server, &mut self.rng, false)),
            2 => drop(machinery::endpoints(&mut self.server, &mut self.rng, false)),
            3 => drop(machinery::autoscaler(&mut self.server, &mut self.rng, false)),
            4 => self.deliver(),
            5 => return self.lead(),
            6 => return self.act_deposed(),
            7 => {
                let deed = person::act(&mut self.server, &self.deployments, &mut self.rng);
                self.note(|_| format!("a person {deed}"));
                self.checker.coverage.reach(deed);
            }
            8 => self.chaos(),
            9 => self.leap(),
            10 => return self.calm_for(3),
            11 => drop(self.answer()),
            _ => {
                let doubt = Mood::QueryError(self.rng.below(4));
                self.mood = self.rng.pick(&[Mood::True, Mood::True, Mood::True, Mood::False, doubt, Mood::Hangs]);
            }
        }
        if self.rng.percent(30) {
            machinery::collect(&mut self.server);
        }
        self.check(&Deed::Nothing)
    }

    fn check(&mut self, deed: &Deed) -> Check {
        if self.trace.is_some() {
            let lines = rest::describe(&self.server, deed);
            for line in lines {
                self.note(|_| line);
            }
        }
        self.checker.check(&mut self.server, deed)
    }

    fn note(&mut self, line: impl FnOnce(&Self) -> String) {
        let line = self.trace.is_some().then(|| line(self));
        if let (Some(trace), Some(line)) = (&mut self.trace, line) {
            trace.push(format!("{} {line}", self.server.now.strftime("%H:%M:%S%.3f")));
        }
    }

    fn pass(&mut self, time: SignedDuration) {
        self.checker.loops.hear();
        self.server.now = self.server.now.saturating_add(time).expect("it is not the end of time");
        let due = self.renewed.saturating_add(SignedDuration::from_secs(5)).expect("nor is this");
        if self.leader.is_some() && due <= self.server.now {
            self.renewed = self.server.now;
        }
    }

    fn leap(&mut self) {
        let seconds = self.rng.pick(&[3, 10, 10, 40, 70]);
        self.note(|_| format!("{seconds} s pass"));
        self.pass(SignedDuration::from_secs(seconds));
    }

    fn deliver(&mut self) {
        self.checker.loops.hear();
        for shell in self.leader.iter_mut().chain(&mut self.deposed) {
            let lagging = shell.lagging(&self.server);
            if !lagging.is_empty() {
                let kind = self.rng.pick(&lagging);
                let count = self.rng.pick(&[1, 2, usize::MAX]);
                shell.deliver(&self.server, kind, count);
            }
        }
    }

    /// Prometheus answers one of the questions.
    fn answer(&mut self) -> bool {
        let count = self.leader.as_ref().map_or(0, |leader| leader.flights.len());
        if count == 0 {
            return false;
        }
        let index = self.rng.below(count);
        let (mood, now) = (self.mood, self.server.now);
        let landed = self.leader.as_mut().and_then(|leader| leader.land(index, mood, now));
        let Some((flight, outcome)) = landed else { return false };
        self.note(|_| {
            format!("{} of {} sent at {}: {}", flight.query.item, flight.kanary, flight.at, outcome.as_str())
        });
        self.checker.loops.hear();
        self.checker.landed(&flight, &outcome);
        self.answered_at = now;
        true
    }

    fn lead(&mut self) -> Check {
        let Some(leader) = &mut self.leader else { return Ok(()) };
        let deed = leader.step(&mut self.server, &mut self.rng, self.weather);
        self.check(&deed)?;
        let lost = |deed: &Deed| matches!(deed, Deed::Acted { action, done: Err(why), .. } if why.code == 500 && is_of_route(action));
        if lost(&deed) && self.rng.percent(80) {
            self.note(|_| "a person deletes everything at the worst moment".into());
            person::delete_all(&mut self.server);
            let leader = self.leader.as_mut().expect("it just acted");
            leader.deliver(&self.server, Kind::Kanary, usize::MAX);
        }
        self.check(&Deed::Nothing)
    }

    fn act_deposed(&mut self) -> Check {
        if self.deposed.is_empty() {
            return Ok(());
        }
        let index = self.rng.below(self.deposed.len());
        let deed = self.deposed[index].step(&mut self.server, &mut self.rng, self.weather);
        self.deposed.retain(Shell::is_busy);
        self.check(&deed)
    }

    fn chaos(&mut self) {
        match (self.leader.is_some(), self.rng.below(3)) {
            (false, _) => self.start(),
            (true, 0 | 1) => {
                self.crash();
                while self.rng.percent(60) {
                    self.leap();
                    self.start();
                    if self.rng.percent(70) {
                        break;
                    }
                    self.crash();
                }
            }
            (true, _) => {
                let mut old = self.crash().expect("it leads");
                self.note(|_| "but it was only deposed, and its writes are on the way".into());
                old.actor = Actor::Deposed;
                self.deposed.push(old);
                self.pass(SignedDuration::from_secs(15));
                self.start();
            }
        }
    }

    fn crash(&mut self) -> Option<Shell> {
        self.note(|_| "the controller crashes".into());
        let leader = self.leader.take();
        let unwritten = leader.as_ref().map(Shell::unwritten).unwrap_or_default();
        self.checker.nobody_watches(self.server.now, &unwritten);
        leader
    }

    fn start(&mut self) {
        let absence = Absence { from: self.renewed, until: self.server.now };
        self.note(|_| "a controller starts to lead".into());
        if self.mutant == Mutant::ForgetsAbsences {
            self.absences.clear();
        }
        self.absences.push(absence);
        self.checker.somebody_watches(self.server.now);
        self.renewed = self.server.now;
        self.leader = Some(Shell::start(&self.server, self.absences.clone(), self.mutant));
    }

    /// So many rounds in which everybody does all there is to do. Did anybody do anything in the last?
    fn calm_for(&mut self, rounds: usize) -> Check {
        for _ in 0..rounds {
            self.round()?;
        }
        Ok(())
    }

    fn round(&mut self) -> Result<bool, Violation> {
        let mut did = self.deployments.step(&mut self.server, &mut self.rng, true);
        did |= machinery::kubelet(&mut self.server, &mut self.rng, true);
        did |= machinery::endpoints(&mut self.server, &mut self.rng, true);
        did |= machinery::autoscaler(&mut self.server, &mut self.rng, true);
        did |= machinery::collect(&mut self.server);
        self.check(&Deed::Nothing)?;
        while self.answer() {
            did = true;
        }
        let Some(leader) = &mut self.leader else { return Ok(did) };
        self.checker.loops.hear();
        for kind in leader.lagging(&self.server) {
            did |= leader.deliver(&self.server, kind, usize::MAX);
        }
        for _ in 0..10 {
            let leader = self.leader.as_mut().expect("it is there");
            let deed = leader.step(&mut self.server, &mut self.rng, self.weather);
            if matches!(deed, Deed::Nothing) {
                break;
            }
            did = true;
            self.check(&deed)?;
        }
        Ok(did)
    }

    /// Faults stop. What was asked for must come about, and then there is silence.
    fn rest(&mut self) -> Check {
        self.note(|_| "from here on there is calm".into());
        self.weather = Weather::default();
        let doubt = Mood::QueryError(self.rng.below(4));
        self.mood = self.rng.pick(&[Mood::True, Mood::True, Mood::True, Mood::False, doubt]);
        self.server.admission.forbidden = None;
        self.server.admission.frozen = None;
        while !self.deposed.is_empty() {
            self.act_deposed()?;
        }
        if self.leader.is_none() {
            self.start();
        }
        let mut idle: i64 = 0;
        let mut changed = self.server.now;
        for _ in 0..PATIENCE {
            let before = self.server.version();
            let did = self.round()?;
            if self.server.version() == before {
                idle += 1;
            } else {
                (idle, changed) = (0, self.server.now);
            }
            // What is refused for good is retried, and nothing changes; nor while a query is always the same.
            if idle > 12 && changed.duration_until(self.server.now) > SignedDuration::from_secs(105) {
                return rest::check(self);
            }
            if did {
                continue;
            }
            let now = self.server.now;
            let hour = now.saturating_add(SignedDuration::from_hours(1)).expect("it is not the end of time");
            let wake = self.leader.as_ref().and_then(Shell::wake).unwrap_or(hour);
            // Ever later: one who tries again every few seconds does not keep the others from their deadlines. But one who
            // asks Prometheus must be in time.
            let asks = self.answered_at.duration_until(now) < SignedDuration::from_mins(1);
            let later =
                if asks { SignedDuration::from_secs((wake <= now).into()) } else { SignedDuration::from_mins(idle) };
            self.pass(now.duration_until(wake) + later);
        }
        let lines = rest::statuses(&self.server);
        ensure(false, "I5", || format!("it does not come to rest: {lines}"))
    }
}
