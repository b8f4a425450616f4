//! Plays a run: the core decides, the world in memory does as it is told, and time passes when nothing else happens.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    machinery, prometheus,
    report::{Outcome, Reach, Step, Write},
    world::{self, World, key},
};
use crate::{
    api::{Check, DefaultStatus, KanaryDeployment, ManualStatus, Phase, Source, names},
    decision::{Action, DryRun, Fault, Kind, Lookup, Observed, Patch, Plan, Routes, Target},
    lifecycle,
    objects::{DeploymentSpec, Listed, Object},
    promql::{ClockMark, EgressPolicy, QueryHistory},
};

/// Far more rounds than any run takes; one that needs them does not end.
const ROUNDS: usize = 500;

/// What most clusters call themselves; only whole names in routes show another one.
const DOMAIN: &str = "cluster.local";

/// The controller's `--prometheus-url`, for items that name none.
const PROMETHEUS: &str = "http://prometheus:9090";

/// What the people in the play say when they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// The canary is good.
    Approve,
    /// The canary is bad.
    Reject,
}

/// Whoever asks how a rejection goes has not said the opposite before.
fn take_back(kanary: &mut KanaryDeployment) {
    let validation = &mut kanary.spec.validation;
    let of_run = validation.manual.iter_mut().map(|manual| &mut manual.status);
    let of_items = validation.items.iter_mut().filter_map(|item| item.manual.as_mut()).map(|manual| &mut manual.status);
    of_run.chain(of_items).for_each(|word| *word = None);
}

/// A run being played.
pub struct Play {
    world: World,
    kanary: Arc<KanaryDeployment>,
    people: People,
    dry_run: Option<DryRun>,
    answers: BTreeMap<String, QueryHistory>,
    faults: Vec<Fault>,
    steps: Vec<Step>,
    reach: Vec<Reach>,
}

impl Play {
    /// A run that is about to begin in this world.
    #[must_use]
    pub fn new(mut world: World, mut kanary: KanaryDeployment, namespace: &str, people: People) -> Self {
        while machinery::settle(&mut world) {}
        let meta = &mut kanary.metadata;
        meta.namespace = Some(namespace.to_owned());
        meta.uid = Some(format!("kanarydeployment-{}", meta.name.as_deref().unwrap_or_default()));
        (meta.generation, meta.resource_version) = (Some(1), Some("1".into()));
        kanary.status = None;
        if people == People::Reject {
            take_back(&mut kanary);
        }
        // The answers do not change, so that they are asked for less often than in life.
        let validation = &mut kanary.spec.validation;
        validation.max_interval_period = validation.max_interval_period.max(validation.validation_period / 10);
        Self {
            world,
            kanary: Arc::new(kanary),
            people,
            dry_run: None,
            answers: BTreeMap::new(),
            faults: Vec::new(),
            steps: Vec::new(),
            reach: Vec::new(),
        }
    }

    /// Plays it to its end, or to where it cannot go on.
    #[must_use]
    pub fn play(mut self) -> (Vec<Step>, Outcome) {
        let begun = self.world.now;
        for _ in 0..ROUNDS {
            let (plan, moved) = self.round(begun);
            let settled = machinery::settle(&mut self.world);
            if moved || settled || self.somebody_speaks(begun) {
                continue;
            }
            match plan.requeue_at.filter(|wake| *wake > self.world.now) {
                Some(wake) => self.world.now = wake,
                None => break,
            }
        }
        let outcome = self.outcome();
        (self.steps, outcome)
    }

    /// Observe, ask, decide, act, tell; whether anything was written.
    fn round(&mut self, begun: jiff::Timestamp) -> (Plan, bool) {
        self.ask();
        let plan = lifecycle::plan(&self.observe());
        let mut step = Step::at(begun.duration_until(self.world.now));
        for action in &plan.actions {
            step.writes.push(self.write(action));
        }
        if let Some(tell) = &plan.status {
            step.events.clone_from(&tell.notices);
            Arc::make_mut(&mut self.kanary).status = Some(tell.status.clone());
        }
        step.phase = self.phase();
        step.services = self.reaches();
        let moved = plan.status.is_some() || !plan.actions.is_empty();
        self.add(step);
        (plan, moved && self.faults.is_empty())
    }

    fn write(&mut self, action: &Action) -> Write {
        if let Action::Patch { target: Target { kind: Kind::KanaryDeployment, .. }, patch } = action {
            let error = self.patch_kanary(patch).err();
            return Write::of(action, None, None, error);
        }
        let before = self.world.get(action.target().kind.as_str(), &action.target().name).cloned();
        let done = self.world.act(action);
        let (kind, name) = key(action.target());
        let after = self.world.get(&kind, &name).cloned();
        if let Err(error) = &done {
            self.faults.push(Fault { action: action.describe(), error: error.clone() });
        }
        Write::of(action, before.as_ref(), after.as_ref(), done.err())
    }

    /// The resource itself is no object of the world.
    fn patch_kanary(&mut self, patch: &Patch) -> Result<(), String> {
        let after = world::applied(&json!(self.kanary), patch)?;
        self.kanary = Arc::new(serde_json::from_value(after).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn ask(&mut self) {
        let spec = |after: Value| DeploymentSpec::from(after["spec"].clone());
        let seen = self.observe();
        match lifecycle::lookup(&seen) {
            Some(Lookup::DryRunPromotion { target, patch, template_hash, base_hash }) => {
                let after = self.world.patched(&target, &patch).map(spec);
                let before = seen.base.as_ref().map(|base| &base.spec);
                self.dry_run = Some(DryRun::of(template_hash, base_hash, seen.now, before, after));
            }
            // What is observed here is never old.
            Some(Lookup::ReadCanary | Lookup::ReadRoutes) | None => {}
        }
        for query in lifecycle::due_queries(&self.observe()) {
            let sent = ClockMark { at: self.world.now, held: query.held };
            let outcome = prometheus::answer(&query);
            let asked = self.answers.entry(query.item).or_default();
            asked.record(query.hash, query.query, sent, outcome);
        }
    }

    fn observe(&self) -> Observed {
        let (world, kanary) = (&self.world, &self.kanary);
        let pods = world.sights::<crate::objects::Pod>("Pod");
        let name = kanary.name();
        let service = kanary.spec.service_name.as_deref().and_then(|name| world.get("Service", name));
        let pod_selectors = ["PodDisruptionBudget", "NetworkPolicy", "PeerAuthentication", "AuthorizationPolicy"];
        Observed {
            base: world.sight("Deployment", &names::base(kanary)),
            canary: world.sight("Deployment", &names::canary(kanary)),
            pods: pods.into_iter().filter(|pod| pod.label(names::CANARY_LABEL) == Some(name)).collect(),
            services: world.sights("Service"),
            autoscalers: world.sights("HorizontalPodAutoscaler"),
            pod_selectors: pod_selectors.into_iter().flat_map(|kind| world.sights(kind)).collect(),
            endpoints: service.map(|service| machinery::served(world, service).into_iter().collect()),
            routes: Routes {
                domain: DOMAIN.into(),
                virtual_services: Listed::All(world.routes("VirtualService")),
                http_routes: Listed::All(world.routes("HTTPRoute")),
                is_fresh: true,
            },
            dry_run: self.dry_run.clone(),
            answers: self.answers.clone(),
            prometheus: EgressPolicy { url: Some(PROMETHEUS.into()), ..EgressPolicy::default() },
            faults: self.faults.clone(),
            ..Observed::around(kanary.clone(), world.now)
        }
    }

    fn phase(&self) -> Option<Phase> {
        self.kanary.status.as_ref()?.phase
    }

    /// A person says what only a person can say, as soon as the canary is judged.
    fn somebody_speaks(&mut self, begun: jiff::Timestamp) -> bool {
        let validation = &self.kanary.spec.validation;
        let spoke = validation.manual.as_ref().is_some_and(|manual| manual.status.is_some());
        let silence = validation.manual.as_ref().and_then(|manual| manual.status_after_deadline);
        let waits = |manual: &crate::api::Manual| {
            manual.status.is_none()
                && manual.status_after_deadline.or(silence).is_none_or(|s| s != DefaultStatus::Valid)
        };
        let awaited = validation.checks().iter().any(|(_, item)| match item.check() {
            Check::Manual(manual) => waits(manual),
            Check::LabelWatch(_) | Check::PromQl(_) => false,
        });
        let wanted = awaited || self.people == People::Reject;
        if spoke || !wanted || self.phase() != Some(Phase::Validating) {
            return false;
        }
        let (word, verb) = match self.people {
            People::Approve => (ManualStatus::Valid, "approve"),
            People::Reject => (ManualStatus::Invalid, "reject"),
        };
        let kanary = Arc::make_mut(&mut self.kanary);
        kanary.spec.validation.manual.get_or_insert_default().status = Some(word);
        kanary.metadata.generation = kanary.metadata.generation.map(|generation| generation + 1);
        let mut step = Step::at(begun.duration_until(self.world.now));
        step.phase = self.phase();
        step.person = Some(format!("kubectl kanary {verb} {}", self.kanary.name()));
        self.add(step);
        true
    }

    /// Which pods the Services reach, if that changed.
    fn reaches(&mut self) -> Vec<Reach> {
        let canary = names::canary(&self.kanary);
        let wanted = self
            .kanary
            .spec
            .service_name
            .iter()
            .cloned()
            .chain((self.kanary.spec.traffic.source != Source::None).then(|| names::kanary_service(&self.kanary)));
        let reach = |name: String| {
            let pods = machinery::served(&self.world, self.world.get("Service", &name)?);
            let is_canary = |pod: &&String| {
                let owner = self.world.get("Pod", pod).map(|pod| pod["metadata"]["ownerReferences"][0]["name"].clone());
                owner == Some(json!(canary))
            };
            let canary = pods.iter().filter(is_canary).count();
            Some(Reach { service: name, base: pods.len() - canary, canary })
        };
        let was_there = |name: &str| self.reach.iter().any(|reach| reach.service == name);
        let is_news = |reach: &Reach| reach.base + reach.canary > 0 || was_there(&reach.service);
        let now: Vec<Reach> = wanted.filter_map(reach).filter(is_news).collect();
        let news = now.iter().filter(|reach| !self.reach.contains(reach)).cloned().collect();
        self.reach = now;
        news
    }

    fn add(&mut self, step: Step) {
        if !step.is_empty() {
            self.steps.push(step);
        }
    }

    fn outcome(&self) -> Outcome {
        let status = self.kanary.status.clone().unwrap_or_default();
        let message = status.message.clone().unwrap_or_default();
        match status.phase {
            Some(Phase::Succeeded) => Outcome::Succeeded { message },
            Some(Phase::Failed) => Outcome::Failed { message },
            Some(Phase::Scheduled | Phase::Starting | Phase::Validating | Phase::Promoting | Phase::Failing) | None => {
                status.problem().map_or_else(
                    || Outcome::Stuck { reason: "Waiting".into(), message },
                    |problem| Outcome::Stuck { reason: problem.reason.to_string(), message: problem.message.clone() },
                )
            }
        }
    }
}
