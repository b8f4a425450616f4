//! Simulates a run: the core decides, the cluster in memory carries it out, and time passes when nothing else happens.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    cluster::{self, Cluster, key},
    controllers, prometheus,
    report::{Endpoints, Outcome, Step, Write},
};
use crate::{
    api::{
        Check, Condition, ConditionStatus, ConditionType, DefaultStatus, KanaryDeployment, ManualStatus, Phase, Source,
        Validation, names,
    },
    decision::{Action, DryRun, Fault, Kind, Lookup, Observed, Patch, Plan, Routes, Target},
    lifecycle,
    objects::{DeploymentSpec, Listed, Object, Pod},
    promql::{Access, Mark, QueryHistory},
};

/// Far more rounds than any run takes; a run that needs them does not end.
const ROUNDS: usize = 500;

/// The default cluster domain; another one shows only in fully qualified names in routes.
const DOMAIN: &str = "cluster.local";

/// The controller's `--prometheus-url`, for items that name none.
const PROMETHEUS: &str = "http://prometheus:9090";

/// The manual verdict of the simulated user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManualVerdict {
    /// The canary is good.
    Approve,
    /// The canary is bad.
    Reject,
}

/// A rejection is simulated as if there were no verdict before.
fn clear_manual_verdicts(kanary: &mut KanaryDeployment) {
    let validation = &mut kanary.spec.validation;
    let of_run = validation.manual.iter_mut().map(|manual| &mut manual.status);
    let of_items = validation.items.iter_mut().filter_map(|item| item.manual.as_mut()).map(|manual| &mut manual.status);
    of_run.chain(of_items).for_each(|status| *status = None);
}

/// Is there a manual item that is not valid at the deadline by default?
fn needs_approval(validation: &Validation) -> bool {
    let default = validation.manual.as_ref().and_then(|manual| manual.status_after_deadline);
    validation.checks().iter().any(|(_, item)| match item.check() {
        Check::Manual(manual) => {
            manual.status.is_none() && manual.status_after_deadline.or(default) != Some(DefaultStatus::Valid)
        }
        Check::LabelWatch(_) | Check::PromQl(_) => false,
    })
}

/// A run that is being simulated.
pub struct Simulation {
    cluster: Cluster,
    kanary: Arc<KanaryDeployment>,
    verdict: ManualVerdict,
    dry_run: Option<DryRun>,
    answers: BTreeMap<String, QueryHistory>,
    faults: Vec<Fault>,
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
            clear_manual_verdicts(&mut kanary);
        }
        // The results do not change, so they are queried less often than in a real cluster.
        let validation = &mut kanary.spec.validation;
        validation.max_interval_period = validation.max_interval_period.max(validation.validation_period / 10);
        Self {
            cluster,
            kanary: Arc::new(kanary),
            verdict,
            dry_run: None,
            answers: BTreeMap::new(),
            faults: Vec::new(),
            steps: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    /// Runs it to its end, or until it gets stuck.
    #[must_use]
    pub fn run(mut self) -> (Vec<Step>, Outcome) {
        let begun = self.cluster.now;
        for _ in 0..ROUNDS {
            let (plan, moved) = self.round(begun);
            let settled = controllers::settle(&mut self.cluster);
            if moved || settled || self.manual_verdict(begun) {
                continue;
            }
            match plan.requeue_at.filter(|wake| *wake > self.cluster.now) {
                Some(wake) => self.cluster.now = wake,
                None => break,
            }
        }
        let outcome = self.outcome();
        (self.steps, outcome)
    }

    /// Observe, query, decide, apply, update the status; true if anything was written.
    fn round(&mut self, begun: jiff::Timestamp) -> (Plan, bool) {
        self.query();
        let plan = lifecycle::plan(&self.observe());
        let mut step = Step::at(begun.duration_until(self.cluster.now));
        for action in &plan.actions {
            step.writes.push(self.write(action));
        }
        if let Some(update) = &plan.status {
            step.events.clone_from(&update.notices);
            Arc::make_mut(&mut self.kanary).status = Some(update.status.clone());
        }
        step.phase = self.phase();
        step.services = self.changed_endpoints();
        let moved = plan.status.is_some() || !plan.actions.is_empty();
        self.add(step);
        (plan, moved && self.faults.is_empty())
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
        if let Err(error) = &done {
            self.faults.push(Fault { action: action.describe(), error: error.clone() });
        }
        Write::of(action, before.as_ref(), after.as_ref(), done.err())
    }

    /// The resource itself is not an object of the cluster.
    fn patch_kanary(&mut self, patch: &Patch) -> Result<(), String> {
        let after = cluster::applied(&json!(self.kanary), patch)?;
        self.kanary = Arc::new(serde_json::from_value(after).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn query(&mut self) {
        let spec = |after: Value| DeploymentSpec::from(after["spec"].clone());
        let seen = self.observe();
        match lifecycle::lookup(&seen) {
            Some(Lookup::DryRunPromotion { target, patch, template_hash, base_hash }) => {
                let after = self.cluster.patched(&target, &patch).map(spec);
                let before = seen.base.as_ref().map(|base| &base.spec);
                self.dry_run = Some(DryRun::of(template_hash, base_hash, seen.now, before, after));
            }
            // What is observed here is never outdated.
            Some(Lookup::ReadCanary | Lookup::ReadRoutes) | None => {}
        }
        for query in lifecycle::due_queries(&self.observe()) {
            let sent = Mark { at: self.cluster.now, held: query.held };
            let outcome = prometheus::answer(&query);
            let history = self.answers.entry(query.item).or_default();
            history.take_in(query.hash, query.query, sent, outcome);
        }
    }

    fn observe(&self) -> Observed {
        let (cluster, kanary) = (&self.cluster, &self.kanary);
        let pods = cluster.views::<Pod>("Pod");
        let name = kanary.name();
        let service = kanary.spec.service_name.as_deref().and_then(|name| cluster.get("Service", name));
        let pod_selectors = ["PodDisruptionBudget", "NetworkPolicy", "PeerAuthentication", "AuthorizationPolicy"];
        Observed {
            base: cluster.view("Deployment", &names::base(kanary)),
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
            dry_run: self.dry_run.clone(),
            answers: self.answers.clone(),
            prometheus: Access { url: Some(PROMETHEUS.into()), ..Access::default() },
            faults: self.faults.clone(),
            ..Observed::around(kanary.clone(), cluster.now)
        }
    }

    fn phase(&self) -> Option<Phase> {
        self.kanary.status.as_ref()?.phase
    }

    /// The user gives a manual verdict as soon as the canary is validating, if one is needed.
    fn manual_verdict(&mut self, begun: jiff::Timestamp) -> bool {
        let validation = &self.kanary.spec.validation;
        let is_given = validation.manual.as_ref().is_some_and(|manual| manual.status.is_some());
        let is_wanted = self.verdict == ManualVerdict::Reject || needs_approval(validation);
        if is_given || !is_wanted || self.phase() != Some(Phase::Validating) {
            return false;
        }
        let (status, verb) = match self.verdict {
            ManualVerdict::Approve => (ManualStatus::Valid, "approve"),
            ManualVerdict::Reject => (ManualStatus::Invalid, "reject"),
        };
        let kanary = Arc::make_mut(&mut self.kanary);
        kanary.spec.validation.manual.get_or_insert_default().status = Some(status);
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
        let message = status.message.unwrap_or_default();
        match status.phase {
            Some(Phase::Succeeded) => return Outcome::Succeeded { message },
            Some(Phase::Failed) => return Outcome::Failed { message },
            Some(Phase::Scheduled | Phase::Starting | Phase::Validating | Phase::Promoting | Phase::Failing) | None => {
            }
        }
        let errored = |c: &Condition| c.type_ == ConditionType::Errored && c.status == ConditionStatus::True;
        match status.conditions.into_iter().find(errored) {
            Some(error) => Outcome::Stuck { reason: error.reason, message: error.message },
            None => Outcome::Stuck { reason: "Waiting".into(), message },
        }
    }
}
