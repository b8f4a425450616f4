//! The controller around the core, as the real one behaves: it plans from its store, carries out one write at a time,
//! and makes the decision again whenever something fails.
//!
//! What it promises the core: it reads back what it wrote; after a start it has a full list; the status carries the
//! resourceVersion that was observed; absences survive a restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use kanary::{
    api::{KanaryDeployment, Phase, names},
    decision::{Absence, Action, Fault, Kind as Written, Lookup, Observed, Plan, Routes, StatusUpdate, Subsets},
    lifecycle::{
        self,
        driver::Driver,
        step::{Done, Step, StepError, Wait},
    },
    objects::{Listed, Object, Unavailable},
    promql::{ClockMark, EgressPolicy, Outcome, Query},
    traffic,
};

use crate::{
    cache::Cache,
    mutant::Mutant,
    prometheus::{Flight, Mood},
    request::{self, Weather},
    rng::Rng,
    server::{Actor, KINDS, Kind, Refused, Server},
};

/// What a step of the shell did, for the checker.
pub enum Deed {
    Nothing,
    Planned { observed: Arc<Observed>, plan: Plan },
    Acted { actor: Actor, observed: Arc<Observed>, action: Action, done: Result<(), Refused> },
    Told { actor: Actor, observed: Arc<Observed>, tell: StatusUpdate, done: Result<(), Refused> },
}

/// The loops of all resources. A [`Driver`] decides what comes next; this performs it.
pub struct Shell {
    pub actor: Actor,
    /// Questions on their way to Prometheus.
    pub flights: Vec<Flight>,
    drivers: BTreeMap<String, Driver>,
    mutant: Mutant,
    cache: Cache,
    dirty: BTreeSet<String>,
    wakes: BTreeMap<String, Timestamp>,
    /// Those whose EndpointSlices are watched, and whether the first list has come.
    following: BTreeMap<String, bool>,
    absences: Vec<Absence>,
}

impl Shell {
    /// A controller that just became the leader.
    pub fn start(server: &Server, absences: Vec<Absence>, mutant: Mutant) -> Self {
        let cache = Cache::fresh(server);
        Self {
            actor: Actor::Leader,
            flights: Vec::new(),
            drivers: BTreeMap::new(),
            mutant,
            dirty: cache.kanaries().into_iter().collect(),
            cache,
            wakes: BTreeMap::new(),
            following: BTreeMap::new(),
            absences,
        }
    }

    /// Some events of one kind arrive.
    pub fn deliver(&mut self, server: &Server, kind: Kind, count: usize) -> bool {
        let news = self.cache.deliver(server, kind, count);
        if news {
            self.dirty.extend(self.cache.kanaries());
        }
        news
    }

    /// The next time at which it wants to look again.
    pub fn wake(&self) -> Option<Timestamp> {
        self.wakes.values().min().copied()
    }

    /// The kinds that it has not seen the end of.
    pub fn lagging(&self, server: &Server) -> Vec<Kind> {
        KINDS.into_iter().filter(|kind| self.cache.lags(server, *kind)).collect()
    }

    /// Is there a fault that keeps it busy?
    pub fn is_in_trouble(&self, name: &str) -> bool {
        self.drivers.get(name).is_some_and(|driver| !driver.faults().is_empty())
    }

    /// Are there writes to come, of decisions that are made?
    pub fn is_busy(&self) -> bool {
        self.drivers.values().any(|driver| driver.writes().next().is_some() || driver.owes_status())
    }

    /// Is the one write to a base on its way?
    pub fn is_about_to_promote(&self) -> bool {
        let mut actions = self.drivers.values().flat_map(Driver::writes);
        actions.any(|action| matches!(action, Action::Promote { .. }))
    }

    /// Is a write to a user's route on its way?
    pub fn is_about_to_write_a_route(&self) -> bool {
        let mut actions = self.drivers.values().flat_map(Driver::writes);
        actions.any(|action| action.target().kind == Written::VirtualService)
    }

    /// The uids of those with a status that is not written yet.
    pub fn unwritten(&self) -> Vec<String> {
        let unwritten = self.drivers.values().filter(|driver| driver.owes_status());
        unwritten.filter_map(|driver| Some(driver.seen()?.kanary.uid().to_owned())).collect()
    }

    /// One thing: a plan, or one write of one.
    pub fn step(&mut self, server: &mut Server, rng: &mut Rng, weather: Weather) -> Deed {
        let due: Vec<String> =
            self.wakes.iter().filter(|(_, wake)| **wake <= server.now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.wakes.remove(&name);
            self.dirty.insert(name);
        }
        let is_busy = |driver: &Driver| driver.writes().next().is_some() || driver.owes_status();
        let busy: BTreeSet<String> =
            self.drivers.iter().filter(|(_, driver)| is_busy(driver)).map(|(name, _)| name.clone()).collect();
        let mut ready: Vec<String> = busy.iter().cloned().collect();
        if self.actor == Actor::Leader {
            ready.extend(self.dirty.iter().filter(|name| !busy.contains(*name)).cloned());
        }
        if ready.is_empty() {
            return Deed::Nothing;
        }
        let name = rng.pick(&ready);
        if busy.contains(&name) {
            self.go_on(server, rng, weather, &name)
        } else {
            self.plan(server, rng, weather, &name)
        }
    }

    fn driver(&mut self, name: &str) -> &mut Driver {
        let mutant = self.mutant;
        self.drivers
            .entry(name.to_owned())
            .or_insert_with(|| Driver::with_planner(Box::new(move |seen| mutant.plan(seen))))
    }

    fn plan(&mut self, server: &Server, rng: &mut Rng, weather: Weather, name: &str) -> Deed {
        self.dirty.remove(name);
        self.follow_endpoints(server.now, name);
        let Some(observed) = self.observe(server.now, name) else { return Deed::Nothing };
        self.driver(name).observed(observed);
        loop {
            let (queries, step) = self.driver(name).step();
            self.send(server.now, name, queries);
            let Step::Lookup(lookup) = step else { break };
            let result = self.look_up(server, rng, weather, name, lookup);
            let is_there = matches!(result, Ok(Done::Absent(false)));
            self.driver(name).done(result);
            if is_there {
                // It is observed first: nothing is decided yet.
                self.settle(server.now, name);
                return Deed::Nothing;
            }
        }
        let driver = self.driver(name);
        let observed = driver.seen().expect("it was observed").clone();
        let plan = driver.plan().clone();
        self.settle(server.now, name);
        Deed::Planned { observed, plan }
    }

    /// When it is to be looked at again, if its driver is done.
    fn settle(&mut self, now: Timestamp, name: &str) {
        let (_, step) = self.driver(name).step();
        let step = self.mutant.settle(step);
        match step {
            Step::Observe => {
                self.dirty.insert(name.to_owned());
            }
            Step::Sleep(Wait::Until(until)) => {
                self.wakes.extend(until.map(|until| (name.to_owned(), until)));
            }
            Step::Sleep(Wait::BackOff(wait)) => {
                self.dirty.remove(name);
                let wait = SignedDuration::try_from(wait).expect("it is short");
                self.wakes.insert(name.to_owned(), now.saturating_add(wait).unwrap_or(now));
            }
            Step::Lookup(_) | Step::Apply(_) | Step::WriteStatus(_) => {}
        }
    }

    /// Looks up what the plan needs to know.
    fn look_up(
        &mut self,
        server: &Server,
        rng: &mut Rng,
        weather: Weather,
        name: &str,
        lookup: Lookup,
    ) -> Result<Done, StepError> {
        match lookup {
            Lookup::DryRunPromotion { target, patch, .. } => {
                let outcome = request::dry_run(server, rng, weather, &target, &patch);
                let outcome = outcome.map_err(|why| error("dry-run the promotion", &why))?;
                Ok(Done::DryRun(server.now, outcome))
            }
            Lookup::ReadCanary => {
                request::read(rng, weather).map_err(|why| error("list pods", &why))?;
                self.read_canary(server, name);
                let canary = names::canary(&self.cache.kanary(name).expect("it was there a moment ago"));
                Ok(Done::Canary(self.cache.deployment(&canary), self.cache.pods_of(name)))
            }
            Lookup::ReadAbsent(targets) => {
                if self.mutant == Mutant::CreatesFromMemory {
                    return Ok(Done::Absent(true));
                }
                request::read(rng, weather).map_err(|why| error("list deployments", &why))?;
                let found: Vec<_> =
                    targets.iter().map(|target| (request::kind_of(target.kind), &target.name)).collect();
                let found = found.into_iter().filter(|(kind, name)| server.get(*kind, name).is_some());
                let found = found.inspect(|(kind, name)| self.cache.take_in(server, *kind, name, None)).count();
                Ok(Done::Absent(found == 0))
            }
            Lookup::ReadRoutes => {
                if self.mutant != Mutant::TrustsItsMemory {
                    request::read(rng, weather).map_err(|why| error("list virtualservices", &why))?;
                    for route in server.names(Kind::Route) {
                        self.cache.take_in(server, Kind::Route, &route, None);
                    }
                }
                let kanary = self.cache.kanary(name).expect("it was there a moment ago");
                Ok(Done::Routes(self.routes(&kanary)))
            }
        }
    }

    fn read_canary(&mut self, server: &Server, name: &str) {
        let known = self.cache.pods_of(name);
        known.iter().for_each(|pod| self.cache.take_in(server, Kind::Pod, pod.name(), Some(pod.uid())));
        for (pod, object) in server.list(Kind::Pod) {
            if object["metadata"]["labels"][names::CANARY_LABEL] == name {
                self.cache.take_in(server, Kind::Pod, pod, None);
            }
        }
        let canary = names::canary(&self.cache.kanary(name).expect("it was there a moment ago"));
        let uid = self.cache.deployment(&canary).map(|known| known.uid().to_owned());
        self.cache.take_in(server, Kind::Deployment, &canary, uid.as_deref());
    }

    /// Sends the queries that are due; nothing waits for the results.
    fn send(&mut self, now: Timestamp, name: &str, queries: Vec<Query>) {
        let uid = self.cache.kanary(name).map(|kanary| kanary.uid().to_owned()).unwrap_or_default();
        let flight = |query| Flight { kanary: name.to_owned(), uid: uid.clone(), query, at: now };
        self.flights.extend(queries.into_iter().map(flight));
    }

    /// One of the queries is answered, if Prometheus is in the mood.
    pub fn land(&mut self, index: usize, mood: Mood, now: Timestamp) -> Option<(Flight, Outcome)> {
        let outcome = self.flights[index].land(mood, now)?;
        let flight = self.flights.swap_remove(index);
        let sent = ClockMark { at: flight.at, held: flight.query.held };
        if self.mutant != Mutant::LosesResults {
            self.driver(&flight.kanary).evaluated(flight.query.clone(), sent, outcome.clone());
        }
        self.dirty.insert(flight.kanary.clone());
        Some((flight, outcome))
    }

    fn go_on(&mut self, server: &mut Server, rng: &mut Rng, weather: Weather, name: &str) -> Deed {
        let mutant = self.mutant;
        let driver = self.driver(name);
        let observed = driver.seen().expect("it was observed").clone();
        let (_, step) = driver.step();
        match mutant.reorder(step, driver) {
            Step::Apply(action) => {
                let done = request::act(server, rng, weather, self.actor, &action);
                self.conclude(server, name, &done, &action.describe());
                Deed::Acted { actor: self.actor, observed, action, done: done.map(drop) }
            }
            Step::WriteStatus(tell) => {
                let done = request::tell(server, rng, weather, self.actor, &observed, &tell);
                self.conclude(server, name, &done, "write the status");
                Deed::Told { actor: self.actor, observed, tell: *tell, done: done.map(drop) }
            }
            Step::Observe | Step::Lookup(_) | Step::Sleep(_) => Deed::Nothing,
        }
    }

    /// Takes in the answer to a write.
    fn conclude(&mut self, server: &Server, name: &str, done: &Result<request::Written, Refused>, what: &str) {
        if let Ok(written) = done {
            if self.mutant != Mutant::ForgetsItsWrites || written.kind == Kind::Kanary {
                self.cache.take_in(server, written.kind, &written.name, written.uid.as_deref());
            }
            self.dirty.insert(name.to_owned());
        }
        let stored = |written: &request::Written| match &written.stored {
            Some((kind, fingerprint)) => Done::Stored(*kind, fingerprint.clone()),
            None => Done::Written,
        };
        let result = done.as_ref().map(stored).map_err(|why| error(what, why));
        let result = self.mutant.result(result);
        self.driver(name).done(result);
        self.settle(server.now, name);
    }

    /// What it would do now.
    pub fn plan_now(&self, now: Timestamp, name: &str) -> Option<Plan> {
        Some(self.mutant.plan(&self.recalled(now, name)?))
    }

    /// What it would look up now.
    pub fn question_now(&self, now: Timestamp, name: &str) -> Option<Lookup> {
        lifecycle::lookup(&self.recalled(now, name)?)
    }

    fn recalled(&self, now: Timestamp, name: &str) -> Option<Observed> {
        let mut seen = self.observe(now, name)?;
        if let Some(driver) = self.drivers.get(name) {
            driver.recall(&mut seen);
        }
        Some(seen)
    }

    fn observe(&self, now: Timestamp, name: &str) -> Option<Observed> {
        let kanary = self.cache.kanary(name)?;
        let endpoints = kanary.spec.service_name.as_ref().filter(|_| self.following.get(name) == Some(&true));
        Some(Observed {
            now,
            base: self.cache.deployment(&names::base(&kanary)),
            neighbours: Vec::new(),
            canary: self.cache.deployment(&names::canary(&kanary)),
            pods: self.cache.pods_of(name),
            services: self.cache.services_for(&kanary),
            autoscalers: self.cache.autoscalers(),
            pod_selectors: Vec::new(),
            endpoints: endpoints.map(|service| self.cache.endpoints_of(service)),
            routes: self.routes(&kanary),
            subsets: Subsets::default(),
            absences: self.absences.clone(),
            watch_broken_since: None,
            stored: BTreeMap::new(),
            is_fresh: false,
            is_absence_confirmed: false,
            dry_run: None,
            answers: BTreeMap::new(),
            prometheus: EgressPolicy { url: Some("http://prometheus:9090".into()), ..EgressPolicy::default() },
            faults: Vec::new(),
            unreadable: Vec::new(),
            kanary,
        })
    }

    /// Those that have nothing to do with routes are not given any.
    fn routes(&self, kanary: &KanaryDeployment) -> Routes {
        let all = self.cache.routes();
        let has_own = all.iter().any(|route| route.label(names::CANARY_LABEL) == Some(kanary.name()));
        if !traffic::concerns_routes(kanary, has_own) {
            return Routes::default();
        }
        Routes {
            domain: "cluster.local".into(),
            virtual_services: Listed::All(all),
            http_routes: Listed::Not(Unavailable::NoCrd),
            is_fresh: false,
        }
    }

    /// EndpointSlices are watched only while pods leave production; their first list comes a little later.
    fn follow_endpoints(&mut self, now: Timestamp, name: &str) {
        let Some(kanary) = self.cache.kanary(name) else { return };
        let phase = kanary.status.as_ref().and_then(|status| status.phase);
        // Most of the time they are not needed, and an observation takes long.
        let may_matter = matches!(phase, Some(Phase::Starting | Phase::Promoting | Phase::Failing));
        let matters = may_matter && self.observe(now, name).is_some_and(|seen| lifecycle::needs_endpoints(&seen));
        let known = self.following.remove(name);
        if matters {
            self.following.insert(name.to_owned(), known.is_some());
        }
        if matters && known.is_none() {
            self.dirty.insert(name.to_owned());
        }
    }
}

/// A decision on a stale view is made again; anything else is reported, and tried again.
fn error(action: &str, why: &Refused) -> StepError {
    if [404, 409].contains(&why.code) {
        return StepError::Stale;
    }
    StepError::Failed(Fault { action: action.to_owned(), error: why.why.clone() })
}
