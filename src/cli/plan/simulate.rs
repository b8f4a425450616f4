//! Simulates a run: the core decides, the cluster in memory carries it out, and time passes when nothing else happens.

use std::sync::Arc;

use serde_json::json;

use super::{
    cluster::{self, Cluster, key},
    controllers,
    manual::{ManualVerdict, clear, needs_approval},
    prometheus,
    report::{Endpoints, Outcome, Step, Write},
};
use crate::{
    api::{KanaryDeployment, ManualStatus, Phase, Reason, Source, names},
    decision::{Action, Fault, Kind, Lookup, Observed, Patch, Routes, Subsets, Target, owned},
    lifecycle::{
        driver::Driver,
        step::{self, Done, StepError, Wait},
    },
    objects::{Autoscaler, Deployment, DeploymentSpec, Listed, Object, Pod},
    promql::{ClockMark, EgressPolicy, Query},
    validation::given,
};

/// Far more rounds than any run takes; a run that needs them does not end.
const ROUNDS: usize = 500;

/// The default cluster domain; another one shows only in fully qualified names in routes.
const DOMAIN: &str = "cluster.local";

/// The controller's `--prometheus-url`, for items that name none.
const PROMETHEUS: &str = "http://prometheus:9090";

/// A run that is being simulated.
pub struct Simulation {
    cluster: Cluster,
    kanary: Arc<KanaryDeployment>,
    verdict: ManualVerdict,
    driver: Driver,
    steps: Vec<Step>,
    endpoints: Vec<Endpoints>,
}

impl Simulation {
    /// A run that is about to start in this cluster.
    #[must_use]
    pub fn new(mut cluster: Cluster, mut kanary: KanaryDeployment, namespace: &str, verdict: ManualVerdict) -> Self {
        while controllers::settle(&mut cluster) {}
        let meta = &mut kanary.metadata;
        meta.namespace = Some(namespace.to_owned());
        meta.uid = Some(format!("kanarydeployment-{}", meta.name.as_deref().unwrap_or_default()));
        (meta.generation, meta.resource_version) = (Some(1), Some("1".into()));
        kanary.status = None;
        if verdict == ManualVerdict::Reject {
            clear(&mut kanary);
        }
        // The results do not change, so they are queried less often than in a real cluster.
        let validation = &mut kanary.spec.validation;
        validation.max_interval_period = validation.max_interval_period.max(validation.validation_period / 10);
        Self {
            cluster,
            kanary: Arc::new(kanary),
            verdict,
            driver: Driver::default(),
            steps: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    /// Runs it to its end, or until it gets stuck.
    #[must_use]
    pub fn run(mut self) -> (Vec<Step>, Outcome) {
        let begun = self.cluster.now;
        for _ in 0..ROUNDS {
            let wait = self.round(begun);
            let settled = controllers::settle(&mut self.cluster);
            if wait.is_none() || settled || self.manual_verdict(begun) {
                continue;
            }
            match wait {
                Some(Wait::Until(Some(due))) if due > self.cluster.now => self.cluster.now = due,
                // A request that failed fails again, because nothing else changes here.
                Some(Wait::BackOff(_)) if self.driver.faults().is_empty() => {}
                Some(Wait::Until(_) | Wait::BackOff(_)) | None => break,
            }
        }
        let outcome = self.outcome();
        (self.steps, outcome)
    }

    /// Observes once, and performs what follows: lookups, writes, the status. How long to wait, if there is nothing to do.
    fn round(&mut self, begun: jiff::Timestamp) -> Option<Wait> {
        let mut shown = Step::at(begun.duration_until(self.cluster.now));
        let wait = self.perform_all(&mut shown);
        shown.phase = self.phase();
        shown.services = self.changed_endpoints();
        self.add(shown);
        wait
    }

    fn perform_all(&mut self, shown: &mut Step) -> Option<Wait> {
        self.driver.observed(self.observe());
        loop {
            let (queries, step) = self.driver.step();
            if !queries.is_empty() {
                // The results are there at once.
                queries.into_iter().for_each(|query| self.answer(query));
                self.driver.observed(self.observe());
                continue;
            }
            let result = match step {
                step::Step::Observe => return None,
                step::Step::Sleep(wait) => return Some(wait),
                step::Step::Lookup(lookup) => Ok(self.look_up(lookup)),
                step::Step::Apply(action) => self.apply(&action, shown),
                step::Step::WriteStatus(update) => {
                    shown.events.extend(update.notices);
                    Arc::make_mut(&mut self.kanary).status = Some(update.status);
                    Ok(Done::Written)
                }
            };
            self.driver.done(result);
        }
    }

    fn answer(&mut self, query: Query) {
        let sent = ClockMark { at: self.cluster.now, held: query.held };
        let outcome = prometheus::answer(&query);
        self.driver.evaluated(query, sent, outcome);
    }

    /// What is observed here is never outdated.
    fn look_up(&self, lookup: Lookup) -> Done {
        let seen = self.observe();
        match lookup {
            Lookup::DryRunPromotion { target, patch, .. } => {
                let after = self.cluster.patched(&target, &patch);
                Done::DryRun(seen.now, after.map(|after| DeploymentSpec::from(after["spec"].clone())))
            }
            Lookup::ReadCanary => Done::Canary(seen.canary, seen.pods),
            Lookup::ReadRoutes => Done::Routes(seen.routes),
            Lookup::ReadAbsent(_) => Done::Absent(true),
        }
    }

    fn apply(&mut self, action: &Action, shown: &mut Step) -> Result<Done, StepError> {
        let write = self.write(action);
        let error = write.error.clone();
        shown.writes.push(write);
        match error {
            Some(error) => Err(StepError::Failed(Fault { action: action.describe(), error })),
            None => Ok(self.stored(action).unwrap_or(Done::Written)),
        }
    }

    fn stored(&self, action: &Action) -> Option<Done> {
        let name = names::canary(&self.kanary);
        let fingerprint = match action.rewrites()? {
            Kind::Deployment => owned::fingerprint(&*self.cluster.view::<Deployment>("Deployment", &name)?),
            Kind::HorizontalPodAutoscaler => {
                owned::fingerprint(&*self.cluster.view::<Autoscaler>("HorizontalPodAutoscaler", &name)?)
            }
            Kind::Service | Kind::Pod | Kind::VirtualService | Kind::HTTPRoute | Kind::KanaryDeployment => None,
        };
        Some(Done::Stored(action.rewrites()?, fingerprint?))
    }

    fn write(&mut self, action: &Action) -> Write {
        if let Action::Patch { target: Target { kind: Kind::KanaryDeployment, .. }, patch } = action {
            let error = self.patch_kanary(patch).err();
            return Write::of(action, None, None, error);
        }
        let before = self.cluster.get(action.target().kind.as_str(), &action.target().name).cloned();
        let done = self.cluster.apply(action);
        let (kind, name) = key(action.target());
        let after = self.cluster.get(&kind, &name).cloned();
        Write::of(action, before.as_ref(), after.as_ref(), done.err())
    }

    /// The resource itself is not an object of the cluster.
    fn patch_kanary(&mut self, patch: &Patch) -> Result<(), String> {
        let after = cluster::applied(&json!(self.kanary), patch)?;
        self.kanary = Arc::new(serde_json::from_value(after).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn observe(&self) -> Observed {
        let (cluster, kanary) = (&self.cluster, &self.kanary);
        let pods = cluster.views::<Pod>("Pod");
        let name = kanary.name();
        let service = kanary.spec.service_name.as_deref().and_then(|name| cluster.get("Service", name));
        let base = cluster.view("Deployment", &names::base(kanary));
        let mut neighbours = cluster.views::<Deployment>("Deployment");
        neighbours.retain(|other| other.label(names::CANARY_LABEL).is_none());
        let pod_selectors = ["PodDisruptionBudget", "NetworkPolicy", "PeerAuthentication", "AuthorizationPolicy"];
        Observed {
            neighbours: if base.is_none() { neighbours } else { Vec::new() },
            base,
            canary: cluster.view("Deployment", &names::canary(kanary)),
            pods: pods.into_iter().filter(|pod| pod.label(names::CANARY_LABEL) == Some(name)).collect(),
            services: cluster.views("Service"),
            autoscalers: cluster.views("HorizontalPodAutoscaler"),
            pod_selectors: pod_selectors.into_iter().flat_map(|kind| cluster.views(kind)).collect(),
            endpoints: service.map(|service| controllers::endpoints(cluster, service).into_iter().collect()),
            routes: Routes {
                domain: DOMAIN.into(),
                virtual_services: Listed::All(cluster.routes("VirtualService")),
                http_routes: Listed::All(cluster.routes("HTTPRoute")),
                is_fresh: true,
            },
            subsets: Subsets {
                domain: DOMAIN.into(),
                destination_rules: cluster.routes("DestinationRule"),
                virtual_services: cluster.routes("VirtualService"),
            },
            prometheus: EgressPolicy { url: Some(PROMETHEUS.into()), ..EgressPolicy::default() },
            ..Observed::around(kanary.clone(), cluster.now)
        }
    }

    fn phase(&self) -> Option<Phase> {
        self.kanary.status.as_ref()?.phase
    }

    /// The user gives a manual verdict as soon as the canary is validating, if one is needed.
    fn manual_verdict(&mut self, begun: jiff::Timestamp) -> bool {
        let status = self.kanary.status.clone().unwrap_or_default();
        let is_given = given::on_run(&self.kanary).is_some_and(|given| given.counts(&status));
        let is_wanted = self.verdict == ManualVerdict::Reject || needs_approval(&self.kanary.spec.validation, &status);
        if is_given || !is_wanted || self.phase() != Some(Phase::Validating) {
            return false;
        }
        let (verdict, verb) = match self.verdict {
            ManualVerdict::Approve => (ManualStatus::Valid, "approve"),
            ManualVerdict::Reject => (ManualStatus::Invalid, "reject"),
        };
        let kanary = Arc::make_mut(&mut self.kanary);
        let manual = kanary.spec.validation.manual.get_or_insert_default();
        (manual.status, manual.run, manual.template_hash) = (Some(verdict), status.run, status.template_hash);
        kanary.metadata.generation = kanary.metadata.generation.map(|generation| generation + 1);
        let mut step = Step::at(begun.duration_until(self.cluster.now));
        step.phase = self.phase();
        step.command = Some(format!("kubectl kanary {verb} {}", self.kanary.name()));
        self.add(step);
        true
    }

    /// Which pods the Services select, if that changed.
    fn changed_endpoints(&mut self) -> Vec<Endpoints> {
        let mut now = Vec::new();
        for service in self.services() {
            let was_shown = self.endpoints.iter().any(|endpoints| endpoints.service == service);
            let Some(endpoints) = self.endpoints_of(service) else { continue };
            if was_shown || endpoints.base + endpoints.canary > 0 {
                now.push(endpoints);
            }
        }
        let changed = now.iter().filter(|endpoints| !self.endpoints.contains(endpoints)).cloned().collect();
        self.endpoints = now;
        changed
    }

    /// The production Service, and that of the canary.
    fn services(&self) -> Vec<String> {
        let spec = &self.kanary.spec;
        let of_canary = (spec.traffic.source != Source::None).then(|| names::kanary_service(&self.kanary));
        spec.service_name.iter().cloned().chain(of_canary).collect()
    }

    fn endpoints_of(&self, service: String) -> Option<Endpoints> {
        let pods = controllers::endpoints(&self.cluster, self.cluster.get("Service", &service)?);
        let owner = json!(names::canary(&self.kanary));
        let canary = pods.iter().filter_map(|pod| self.cluster.get("Pod", pod));
        let canary = canary.filter(|pod| pod["metadata"]["ownerReferences"][0]["name"] == owner).count();
        Some(Endpoints { service, base: pods.len() - canary, canary })
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
                    || Outcome::Stuck { reason: Reason::Waiting, message },
                    |problem| Outcome::Stuck { reason: problem.reason.clone(), message: problem.message.clone() },
                )
            }
        }
    }
}
