//! The controller around the core, as the real one behaves: it plans from its memory, carries out one write at a time,
//! and makes the decision again whenever something fails.
//!
//! What it promises the core: it reads back what it wrote; after a start it has a full list; the status carries the
//! resourceVersion that was observed; absences survive a restart.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use kanary::{
    api::{KanaryDeployment, Phase, names},
    decision::{Absence, Action, Fault, Lookup, Observed, Plan, Routes, StatusUpdate},
    lifecycle,
    objects::{Listed, Object, Unavailable},
    promql::{Access, Mark, Outcome, QueryHistory},
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

/// After a failure the shell waits a little.
const BACKOFF: SignedDuration = SignedDuration::from_secs(2);

/// A plan under way.
pub struct Pass {
    observed: Arc<Observed>,
    actions: VecDeque<Action>,
    status: Option<StatusUpdate>,
    /// After a fault the status goes first: what fails again must not keep it from being seen.
    only_tells: bool,
    /// The status tells of a new phase.
    enters: bool,
}

/// What a step of the shell did, for the checker.
pub enum Deed {
    Nothing,
    Planned { observed: Arc<Observed>, plan: Plan },
    Acted { observed: Arc<Observed>, action: Action, done: Result<(), Refused> },
    Told { observed: Arc<Observed>, tell: StatusUpdate, done: Result<(), Refused> },
}

pub struct Shell {
    pub actor: Actor,
    pub passes: BTreeMap<String, Pass>,
    /// Questions on their way to Prometheus.
    pub flights: Vec<Flight>,
    answers: BTreeMap<String, BTreeMap<String, QueryHistory>>,
    mutant: Mutant,
    cache: Cache,
    dirty: BTreeSet<String>,
    wakes: BTreeMap<String, Timestamp>,
    /// Those with progress to tell, and since when.
    untold: BTreeMap<String, Timestamp>,
    faults: BTreeMap<String, Vec<Fault>>,
    dry_runs: BTreeMap<String, kanary::decision::DryRun>,
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
            passes: BTreeMap::new(),
            flights: Vec::new(),
            answers: BTreeMap::new(),
            mutant,
            dirty: cache.kanaries().into_iter().collect(),
            cache,
            wakes: BTreeMap::new(),
            untold: BTreeMap::new(),
            faults: BTreeMap::new(),
            dry_runs: BTreeMap::new(),
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
        self.faults.contains_key(name)
    }

    /// Is the one write to a base on its way?
    pub fn is_about_to_promote(&self) -> bool {
        let mut actions = self.passes.values().flat_map(|pass| &pass.actions);
        actions.any(|action| matches!(action, Action::Promote { .. }))
    }

    /// Is a write to somebody's route on its way?
    pub fn is_about_to_write_a_route(&self) -> bool {
        let mut actions = self.passes.values().flat_map(|pass| &pass.actions);
        actions.any(|action| action.target().kind == kanary::decision::Kind::VirtualService)
    }

    /// The uids of those with a status that is not written yet.
    pub fn unwritten(&self) -> Vec<String> {
        let untold = self.passes.values().filter(|pass| pass.status.is_some());
        untold.map(|pass| pass.observed.kanary.uid().to_owned()).collect()
    }

    /// One thing: a plan, or one write of one.
    pub fn step(&mut self, server: &mut Server, rng: &mut Rng, weather: Weather) -> Deed {
        let due: Vec<String> =
            self.wakes.iter().filter(|(_, wake)| **wake <= server.now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.wakes.remove(&name);
            self.dirty.insert(name);
        }
        let mut ready: Vec<String> = self.passes.keys().cloned().collect();
        if self.actor == Actor::Leader {
            ready.extend(self.dirty.iter().filter(|name| !self.passes.contains_key(*name)).cloned());
        }
        if ready.is_empty() {
            return Deed::Nothing;
        }
        let name = rng.pick(&ready);
        match self.passes.remove(&name) {
            Some(pass) => self.go_on(server, rng, weather, &name, pass),
            None => self.plan(server, rng, weather, &name),
        }
    }

    fn plan(&mut self, server: &Server, rng: &mut Rng, weather: Weather, name: &str) -> Deed {
        self.dirty.remove(name);
        self.follow_endpoints(name);
        let Some(mut observed) = self.observe(server.now, name) else { return Deed::Nothing };
        if let Some(question) = lifecycle::lookup(&observed) {
            let reads_canary = question == Lookup::ReadCanary;
            let is_read = self.ask(server, rng, weather, name, question);
            observed = self.observe(server.now, name).expect("it was there a moment ago");
            observed.is_fresh = is_read && reads_canary;
            observed.routes.is_fresh = is_read && !reads_canary;
        }
        self.inquire(server.now, &mut observed);
        let mut plan = self.mutant.plan(&observed);
        if let Some(until) = self.deferred_until(name, &observed, &plan) {
            plan.status = None;
            plan.requeue_at = plan.requeue_at.into_iter().chain([until]).min();
        }
        let observed = Arc::new(observed);
        if let Some(wake) = plan.requeue_at {
            self.wakes.insert(name.to_owned(), wake);
        }
        let only_tells = !observed.faults.is_empty() && plan.status.is_some();
        let actions = if only_tells { VecDeque::new() } else { plan.actions.clone().into() };
        let enters = plan.enters_phase(&observed);
        let pass = Pass { observed: observed.clone(), actions, status: plan.status.clone(), only_tells, enters };
        self.proceed(server.now, name, pass);
        Deed::Planned { observed, plan }
    }

    /// Until when what is to be told is put off.
    fn deferred_until(&mut self, name: &str, observed: &Observed, plan: &Plan) -> Option<Timestamp> {
        let since = self.untold.remove(name).unwrap_or(observed.now);
        let tell = plan.status.as_ref().filter(|_| observed.faults.is_empty())?;
        let until = tell.deferred_until(since, observed.now)?;
        self.untold.insert(name.to_owned(), since);
        Some(until)
    }

    /// Asks what the plan needs to know. Is what was read that of this moment now?
    fn ask(&mut self, server: &Server, rng: &mut Rng, weather: Weather, name: &str, question: Lookup) -> bool {
        match question {
            Lookup::DryRunPromotion { target, patch, template_hash, base_hash } => {
                match request::rehearse(server, rng, weather, (target, patch), (template_hash, base_hash)) {
                    Ok(dry_run) => drop(self.dry_runs.insert(name.to_owned(), dry_run)),
                    Err(why) => self.fail(server.now, name, "rehearse the promotion".into(), &why),
                }
                false
            }
            Lookup::ReadCanary => match request::read(rng, weather) {
                Ok(()) => {
                    let known = self.cache.pods_of(name);
                    known.iter().for_each(|pod| self.cache.take_in(server, Kind::Pod, pod.name(), Some(pod.uid())));
                    for (pod, object) in server.list(Kind::Pod) {
                        if object["metadata"]["labels"][names::CANARY_LABEL] == name {
                            self.cache.take_in(server, Kind::Pod, pod, None);
                        }
                    }
                    let kanary = self.cache.kanary(name).expect("it was there a moment ago");
                    let canary = names::canary(&kanary);
                    let uid = self.cache.deployment(&canary).map(|known| known.uid().to_owned());
                    self.cache.take_in(server, Kind::Deployment, &canary, uid.as_deref());
                    true
                }
                Err(why) => {
                    self.fail(server.now, name, "list pods".into(), &why);
                    false
                }
            },
            Lookup::ReadRoutes if self.mutant == Mutant::TrustsItsMemory => true,
            Lookup::ReadRoutes => match request::read(rng, weather) {
                Ok(()) => {
                    for route in server.names(Kind::Route) {
                        self.cache.take_in(server, Kind::Route, &route, None);
                    }
                    true
                }
                Err(why) => {
                    self.fail(server.now, name, "list virtualservices".into(), &why);
                    false
                }
            },
        }
    }

    /// Sends the questions that are due; nobody waits for the answers.
    fn inquire(&mut self, now: Timestamp, observed: &mut Observed) {
        let (kanary, uid) = (observed.kanary.name().to_owned(), observed.kanary.uid().to_owned());
        let answers = self.answers.entry(kanary.clone()).or_default();
        for query in lifecycle::due_queries(observed) {
            answers.entry(query.item.clone()).or_default().pending = Some(now);
            self.flights.push(Flight { kanary: kanary.clone(), uid: uid.clone(), query, at: now });
        }
        observed.answers.clone_from(answers);
    }

    /// One of the questions is answered, if Prometheus is in the mood.
    pub fn land(&mut self, index: usize, mood: Mood, now: Timestamp) -> Option<(Flight, Outcome)> {
        let outcome = self.flights[index].land(mood, now)?;
        let flight = self.flights.swap_remove(index);
        let asked = self.answers.entry(flight.kanary.clone()).or_default().entry(flight.query.item.clone());
        let (hash, query) = (flight.query.hash.clone(), flight.query.query.clone());
        let sent = Mark { at: flight.at, held: flight.query.held };
        asked.or_default().take_in(hash, query, sent, outcome.clone());
        self.dirty.insert(flight.kanary.clone());
        Some((flight, outcome))
    }

    /// Keeps what is left of a pass. One that went well to its end clears the faults of those before.
    fn proceed(&mut self, now: Timestamp, name: &str, pass: Pass) {
        if !pass.actions.is_empty() || pass.status.is_some() {
            self.passes.insert(name.to_owned(), pass);
        } else if pass.only_tells && !pass.enters {
            self.retry(now, name);
        } else if self.faults.remove(name).is_some() {
            self.dirty.insert(name.to_owned());
        }
    }

    fn go_on(&mut self, server: &mut Server, rng: &mut Rng, weather: Weather, name: &str, mut pass: Pass) -> Deed {
        let observed = pass.observed.clone();
        if let Some(action) = pass.actions.pop_front() {
            let done = request::act(server, rng, weather, self.actor, &action);
            self.conclude(server, name, pass, &done, action.describe());
            return Deed::Acted { observed, action, done: done.map(drop) };
        }
        let tell = pass.status.take().expect("a pass without one ends before");
        let done = request::tell(server, rng, weather, self.actor, &observed, &tell);
        self.conclude(server, name, pass, &done, "write the status".into());
        Deed::Told { observed, tell, done: done.map(drop) }
    }

    /// Takes in the answer to a write.
    fn conclude(
        &mut self,
        server: &Server,
        name: &str,
        pass: Pass,
        done: &Result<request::Written, Refused>,
        what: String,
    ) {
        match done {
            Ok(written) => {
                if self.mutant != Mutant::ForgetsItsWrites || written.kind == Kind::Kanary {
                    self.cache.take_in(server, written.kind, &written.name, written.uid.as_deref());
                }
                self.dirty.insert(name.to_owned());
                self.proceed(server.now, name, pass);
            }
            Err(why) => self.fail(server.now, name, what, why),
        }
    }

    /// A decision on a stale view is made again; anything else is told, and tried again.
    fn fail(&mut self, now: Timestamp, name: &str, action: String, why: &Refused) {
        if ![404, 409].contains(&why.code) {
            let fault = Fault { action, error: why.why.clone() };
            let known = self.faults.insert(name.to_owned(), vec![fault.clone()]);
            if known.is_none_or(|known| known != [fault]) {
                self.dirty.insert(name.to_owned());
                return;
            }
        }
        self.retry(now, name);
    }

    fn retry(&mut self, now: Timestamp, name: &str) {
        self.dirty.remove(name);
        self.wakes.insert(name.to_owned(), now.saturating_add(BACKOFF).unwrap_or(now));
    }

    /// What it would do now.
    pub fn plan_now(&self, now: Timestamp, name: &str) -> Option<Plan> {
        Some(self.mutant.plan(&self.observe(now, name)?))
    }

    /// What it would ask now.
    pub fn question_now(&self, now: Timestamp, name: &str) -> Option<Lookup> {
        lifecycle::lookup(&self.observe(now, name)?)
    }

    fn observe(&self, now: Timestamp, name: &str) -> Option<Observed> {
        let kanary = self.cache.kanary(name)?;
        let endpoints = kanary.spec.service_name.as_ref().filter(|_| self.following.get(name) == Some(&true));
        Some(Observed {
            now,
            base: self.cache.deployment(&names::base(&kanary)),
            canary: self.cache.deployment(&names::canary(&kanary)),
            pods: self.cache.pods_of(name),
            services: self.cache.services_for(&kanary),
            autoscalers: self.cache.autoscalers(),
            pod_selectors: Vec::new(),
            endpoints: endpoints.map(|service| self.cache.endpoints_of(service)),
            routes: self.routes(&kanary),
            absences: self.absences.clone(),
            watch_broken_since: None,
            is_fresh: false,
            dry_run: self.dry_runs.get(name).cloned(),
            answers: self.answers.get(name).cloned().unwrap_or_default(),
            prometheus: Access { url: Some("http://prometheus:9090".into()), ..Access::default() },
            faults: self.faults.get(name).cloned().unwrap_or_default(),
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
    fn follow_endpoints(&mut self, name: &str) {
        let Some(kanary) = self.cache.kanary(name) else { return };
        let leaves = is_failing(&kanary) && self.cache.pods_of(name).iter().any(|pod| traffic::was_in_production(pod));
        let known = self.following.remove(name);
        if leaves {
            self.following.insert(name.to_owned(), known.is_some());
        }
        if leaves && known.is_none() {
            self.dirty.insert(name.to_owned());
        }
    }
}

fn is_failing(kanary: &KanaryDeployment) -> bool {
    kanary.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Failing))
}
