//! What must hold at every instant, as code. Each law has a name; a history that breaks one is reported with it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kanary::{
    api::{Phase, names},
    decision::{Action, Observed, Plan, StatusUpdate},
    hash, lifecycle,
    objects::Object,
    promql::Outcome,
};
use serde_json::Value;

use crate::{
    admission::covers,
    coverage::Coverage,
    evidence::{Stopwatch, is_available},
    ledger::Ledger,
    loops::Loops,
    machinery::uid,
    past::{Past, Run},
    prometheus::Flight,
    routes::{self, Late},
    server::{Actor, Change, Kind, Server},
    shell::Deed,
    words::{WHOLE, Words},
    writes::{self, nothing_left, only_what_follows},
};

/// A broken law, and how.
#[derive(Debug)]
pub struct Violation {
    pub law: &'static str,
    pub how: String,
}

pub type Check = Result<(), Violation>;

pub fn ensure(holds: bool, law: &'static str, how: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Violation { law, how: how() }) }
}

#[derive(Default)]
pub struct Checker {
    pub coverage: Coverage,
    pub past: Past,
    /// Mirrors that came in by a write of a controller that led no more.
    pub late: Late,
    /// Verdicts of success that were persisted, with the hash of the proven template.
    verdicts: BTreeSet<(Run, String)>,
    /// How often each run changed the template of a base.
    promotions: BTreeMap<Run, usize>,
    stopwatches: BTreeMap<String, Stopwatch>,
    words: Words,
    ledgers: BTreeMap<String, Ledger>,
    pub loops: Loops,
    /// The resourceVersion of the base that each run pinned.
    pins: BTreeMap<Run, u64>,
    /// What the production selector was when the canary's template was written, by canary.
    outside: BTreeMap<String, Value>,
}

impl Checker {
    /// After every step: what the controller did, and all that was written.
    pub fn check(&mut self, server: &mut Server, deed: &Deed) -> Check {
        let changes = std::mem::take(&mut server.changes);
        for change in &changes {
            self.past.remember(change);
            self.late.note(change);
            // A person who edits the canary's template is answered, not prevented.
            if change.actor == Actor::Person && change.kind == Kind::Deployment {
                self.outside.remove(&change.name);
            }
        }
        match deed {
            Deed::Nothing => {}
            Deed::Planned { observed, plan } => {
                self.loops.planned(observed, plan)?;
                self.planned(observed, plan)?;
                writes::only_what_is_absent(server, plan)?;
            }
            Deed::Acted { actor, observed, action, done } => {
                self.loops.acted(observed);
                if *actor == Actor::Leader {
                    self.loops.requested(observed, &action.describe(), done)?;
                }
                self.note_loss(observed, done.is_err());
                for change in &changes {
                    if self.past.note_straggler(change, done.is_err()) {
                        self.coverage.reach("straggler");
                    }
                    self.acted(server, observed, action, change)?;
                }
            }
            Deed::Told { actor, observed, tell, done } => {
                self.loops.told(observed)?;
                if *actor == Actor::Leader {
                    self.loops.requested(observed, "write the status", done)?;
                }
                // With a lost answer it is written all the same.
                self.note_loss(observed, done.is_err() && changes.is_empty());
                for change in &changes {
                    self.told(server, observed, tell, change)?;
                }
            }
        }
        changes.iter().try_for_each(|change| self.born_outside(server, change))
    }

    fn note_loss(&mut self, observed: &Observed, failed: bool) {
        if failed && let Some(watch) = self.stopwatches.get_mut(observed.kanary.uid()) {
            watch.lose();
        }
    }

    /// Nobody watches any more; what these had seen was not written down.
    pub fn nobody_watches(&mut self, now: Timestamp, unwritten: &[String]) {
        self.loops.forget();
        for uid in unwritten {
            if let Some(watch) = self.stopwatches.get_mut(uid) {
                watch.lose();
            }
        }
        self.stopwatches.values_mut().for_each(|watch| watch.stop(now));
        for (uid, ledger) in &mut self.ledgers {
            let seen = self.stopwatches.get(uid).map(Stopwatch::seen).unwrap_or_default();
            ledger.crash(now, seen);
        }
    }

    /// Prometheus answered.
    pub fn landed(&mut self, flight: &Flight, outcome: &Outcome) {
        self.coverage.reach(&format!("answer {}", outcome.as_str()));
        self.ledgers.entry(flight.uid.clone()).or_default().landed(flight, outcome);
    }

    /// A leader has a full view again.
    pub fn somebody_watches(&mut self, now: Timestamp) {
        self.stopwatches.values_mut().for_each(|watch| watch.resume(now));
    }

    fn planned(&mut self, observed: &Observed, plan: &Plan) -> Check {
        self.coverage.plans += 1;
        let asked = self.past.is_as_asked(observed);
        if let Some(watch) = self.stopwatches.get_mut(observed.kanary.uid()) {
            watch.look(observed, asked);
            self.ledgers.entry(observed.kanary.uid().to_owned()).or_default().look(observed.now, watch.seen());
        }
        let early = plan.requeue_at.is_some_and(|wake| wake < observed.now);
        ensure(!early, "wake is never in the past", || format!("{:?} at {}", plan.requeue_at, observed.now))?;
        if self.coverage.plans.is_multiple_of(16) {
            self.replays(observed)?;
        }
        // What begins a run is acted upon once that is persisted; of a deleted resource the garbage collector removes the rest.
        let begins_run = plan.status.as_ref().is_some_and(|tell| tell.status.run != observed.status().run);
        let is_exempt = begins_run || observed.kanary.metadata.deletion_timestamp.is_some();
        if observed.status().phase == Some(Phase::Scheduled) && plan.actions.is_empty() && !is_exempt {
            let left = observed.own_canary().is_some_and(|canary| !canary.is_terminating());
            ensure(!left, "I4", || format!("{}: a canary of before stays until the scheduled time", observed.id()))?;
        }
        let targets: BTreeSet<_> = plan.actions.iter().map(Action::target).collect();
        ensure(targets.len() == plan.actions.len(), "one write an object", || format!("{:?}", plan.actions))
    }

    /// A dump of an observation replays the decision.
    fn replays(&mut self, observed: &Observed) -> Check {
        let dump = serde_json::to_string(observed).expect("it serializes");
        let loaded: Observed = serde_json::from_str(&dump).expect("it deserializes");
        let (plan, again) = (lifecycle::plan(observed), lifecycle::plan(&loaded));
        ensure(plan == again, "a dump replays", || format!("{plan:?}\nbut of its dump\n{again:?}"))?;
        let same = lifecycle::lookup(observed) == lifecycle::lookup(&loaded)
            && lifecycle::due_queries(observed) == lifecycle::due_queries(&loaded);
        ensure(same, "a dump replays", || dump)
    }

    fn acted(&mut self, server: &Server, observed: &Observed, action: &Action, change: &Change) -> Check {
        writes::check(server, &self.past, observed, action, change)?;
        routes::check(server, observed, change, &self.late)?;
        if let Action::CreateBase { .. } = action {
            self.coverage.reach("a base is made");
        } else if let Action::Promote { .. } = action {
            return self.promoted(server, observed, change);
        } else if change.kind == Kind::Deployment {
            let selector = observed.service().map(|service| serde_json::json!(service.spec.selector));
            self.outside.insert(change.name.clone(), selector.unwrap_or_default());
        }
        Ok(())
    }

    /// I1: one write to the base's template a run, and only after a persisted verdict on that very template.
    fn promoted(&mut self, server: &Server, observed: &Observed, change: &Change) -> Check {
        const LAW: &str = "I1";
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
        let status = observed.status();
        let run = (observed.kanary.uid().to_owned(), status.run.unwrap_or_default());
        let proven = status.template_hash.clone().unwrap_or_default();
        ensure(self.verdicts.contains(&(run.clone(), proven.clone())), LAW, || {
            format!("{run:?} writes the base without a persisted verdict on {proven}")
        })?;
        ensure(!observed.kanary.spec.validation.no_update, LAW, || "noUpdate, and the base is written".into())?;
        let template = self.past.template(&proven);
        let mut wanted = Value::clone(before);
        wanted["spec"]["template"] = template["spec"]["template"].clone();
        drop(server.admission.admit(Kind::Deployment, Some(before), &mut wanted));
        ensure(wanted["spec"]["template"] == after["spec"]["template"], LAW, || {
            format!("the base got another template than the proven {proven}")
        })?;
        only_what_follows(before, after, &template)?;
        if before["spec"]["template"] != after["spec"]["template"] {
            let count = self.promotions.entry(run.clone()).or_default();
            *count += 1;
            ensure(*count == 1, LAW, || format!("{run:?} changes the base a second time"))?;
            let pin = status.base.as_ref().and_then(|base| base.template_hash.clone());
            let untouched = pin == Some(hash::of(&before["spec"]["template"]))
                && status.base.as_ref().is_some_and(|base| base.uid == uid(before));
            ensure(untouched, LAW, || format!("{run:?} overwrites somebody's change of the base"))?;
        }
        self.coverage.reach("a base gets a template");
        Ok(())
    }

    fn told(&mut self, server: &Server, observed: &Observed, tell: &StatusUpdate, change: &Change) -> Check {
        let Some(phase) = tell.status.phase else { return Ok(()) };
        let run = (observed.kanary.uid().to_owned(), tell.status.run.unwrap_or_default());
        let before = observed.status();
        self.coverage.told(observed, tell);
        self.words.told(observed, tell);
        if let Some(ledger) = self.ledgers.get_mut(&run.0) {
            ledger.written();
        }
        let pinned = |status: &kanary::api::KanaryDeploymentStatus| {
            status.base.as_ref().is_some_and(|base| base.template_hash.is_some())
        };
        if pinned(&tell.status) && !(pinned(before) && before.run == tell.status.run) {
            let version = observed.base.as_ref().and_then(|base| base.version().parse().ok());
            self.pins.insert(run.clone(), version.unwrap_or_default());
        }
        if before.phase == Some(phase) && before.run == tell.status.run {
            return Ok(());
        }
        match phase {
            Phase::Validating => {
                self.ledgers.insert(run.0.clone(), Ledger::default());
                self.stopwatches.entry(run.0).or_default().begin(observed, run.1);
            }
            Phase::Promoting => self.verdict(run, observed, tell)?,
            Phase::Failing => self.failure(&run, observed, tell)?,
            Phase::Succeeded | Phase::Failed if change.actor == Actor::Leader => {
                nothing_left(server, observed, &self.past.stragglers)?;
            }
            Phase::Scheduled | Phase::Starting | Phase::Succeeded | Phase::Failed => {}
        }
        Ok(())
    }

    /// I3: no success without an available canary and positive evidence for every item over the period.
    fn verdict(&mut self, run: Run, observed: &Observed, tell: &StatusUpdate) -> Check {
        const LAW: &str = "I3";
        ensure(self.past.is_as_asked(observed), LAW, || format!("{run:?}: success of what was not asked for"))?;
        ensure(is_available(observed), LAW, || format!("{run:?}: success of a canary that is not available"))?;
        let validation = &observed.kanary.spec.validation;
        let said = |place: &str| self.words.said(&observed.kanary, place, run.1);
        let silent =
            |item: &Value| item.pointer("/manual/statusAfterDeadline").and_then(Value::as_str).map(str::to_owned);
        let overall = serde_json::json!({"manual": validation.manual});
        let mut spoken = true;
        for (name, item) in validation.named_items() {
            let is_old = [name.as_str(), WHOLE].iter().any(|place| self.words.is_old(&observed.kanary, place, run.1));
            let item = serde_json::json!(item);
            let said = said(&name).or(said(WHOLE));
            let silence = silent(&item).or(silent(&overall));
            let is_manual = item.get("labelWatch").is_none() && item.get("promQL").is_none();
            spoken &= said.as_deref() == Some("valid") && is_manual;
            let has_word = said.as_deref() == Some("valid") || said.is_none() && silence.as_deref() == Some("valid");
            let law = if is_old { "a word is for one run" } else { LAW };
            ensure(!is_manual || has_word, law, || format!("nobody vouches for {item} in {run:?}"))?;
            if is_old {
                self.coverage.reach("success beside an old word");
            }
        }
        ensure(said(WHOLE).as_deref() != Some("invalid"), LAW, || "a person said invalid".into())?;
        if !spoken {
            let objection = self.stopwatches.get(&run.0).map(|watch| watch.objection(observed));
            let objection = objection.unwrap_or_else(|| Some("it was never watched".into()));
            ensure(objection.is_none(), LAW, || format!("{run:?}: {}", objection.unwrap_or_default()))?;
            self.answered(&run, observed, tell)?;
        }
        self.verdicts.insert((run, tell.status.template_hash.clone().unwrap_or_default()));
        Ok(())
    }

    /// I3 for promQL: asked throughout, true at last, and not false more often than forgiven.
    fn answered(&mut self, run: &Run, observed: &Observed, tell: &StatusUpdate) -> Check {
        let lost = self.stopwatches.get(&run.0).map(Stopwatch::lost).unwrap_or_default();
        let empty = Ledger::default();
        let ledger = self.ledgers.get(&run.0).unwrap_or(&empty);
        let objection = ledger.objection(observed, &tell.status, lost);
        if observed.kanary.spec.validation.items.iter().any(|item| item.prom_ql.is_some()) {
            self.coverage.reach("success by promQL");
        }
        ensure(objection.is_none(), "I3", || format!("{run:?}: {}", objection.unwrap_or_default()))
    }

    /// A failure that blames the base, or a query, must be true.
    fn failure(&mut self, run: &Run, observed: &Observed, tell: &StatusUpdate) -> Check {
        let condition = tell.status.conditions.iter().find(|c| c.type_ == kanary::api::ConditionType::Failed);
        let reason = condition.map_or("", |condition| condition.reason.as_str());
        let blamed = condition.and_then(|condition| condition.message.split(": ").next()).unwrap_or_default();
        let known = self.ledgers.get(&run.0).and_then(|ledger| ledger.failures(observed, blamed));
        if let Some((count, limit)) = known.filter(|_| reason == "Invalid") {
            self.coverage.reach("failure by promQL");
            let enough = i32::try_from(count).is_ok_and(|count| count > limit);
            ensure(enough, "failureLimit", || format!("{run:?}: {count} false answers, {limit} are forgiven"))?;
        }
        if !["BaseChanged", "BaseGone"].contains(&reason) {
            return Ok(());
        }
        let base = tell.status.base.clone().unwrap_or_default();
        let pin = self.pins.get(run).copied().unwrap_or_default();
        let hash = base.template_hash.clone().unwrap_or_default();
        let touched = hash.is_empty() || self.past.was_touched(&base.name, pin, &base.uid, &hash);
        let going = observed.base.as_deref().is_some_and(Object::is_terminating);
        ensure(going || touched, "no false alarm", || {
            format!("{run:?} fails with {reason}, but nobody touched the base")
        })
    }

    /// I2: a pod that the canary's template makes is outside production, unless another client changed the rules since.
    fn born_outside(&self, server: &Server, change: &Change) -> Check {
        let (Kind::Pod, None, Some(pod)) = (change.kind, &change.before, &change.after) else { return Ok(()) };
        let Some(kanary) = pod["metadata"]["labels"][names::CANARY_LABEL].as_str() else { return Ok(()) };
        let service = server.get(Kind::Kanary, kanary).and_then(|kanary| kanary["spec"]["serviceName"].as_str());
        let selector = service.and_then(|name| Some(server.get(Kind::Service, name)?["spec"]["selector"].clone()));
        let Some(selector) = selector else { return Ok(()) };
        let planned_for = self.outside.get(&format!("{kanary}-kanary"));
        ensure(planned_for != Some(&selector) || !covers(&selector, &pod["metadata"]["labels"]), "I2", || {
            format!("pod {} is born into production", change.name)
        })
    }
}
