//! One task tends one `KanaryDeployment`: it looks, decides, acts, tells, and sleeps until something happens.
//!
//! A task of its own means that a request that hangs delays this canary only, and that no two passes over it overlap.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

use super::{
    Context, Key,
    endpoints::Following,
    execute,
    execute::Stop,
    memory::Memory,
    metrics::Metrics,
    observe::{self, Services},
    turn::{self, Turn},
};
use crate::{
    api::{KanaryDeployment, Phase},
    decision::{DryRun, Fault, Lookup, Observed, Plan},
    lifecycle,
    objects::Object,
    promql::{ClockMark, Outcome, QueryHistory},
    traffic,
    validation::promql::mirror_check,
};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// More steps than this without a rest are a fight.
const MOST_STEPS: usize = 32;
/// News come in bursts: a pod, its Deployment, its Service. Those that follow a look so soon are looked at together; what
/// comes alone, such as a label of invalidation, is looked at when it comes.
const BURST: Duration = Duration::from_millis(50);
/// While pods come and go, and nobody is judged or on the way out of production, there is more to look at together.
const LONG_BURST: Duration = Duration::from_millis(250);
/// Timers of this process and the clock of the host may drift apart: look now and then.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// What a task remembers between passes; all of it can be lost without harm.
#[derive(Default)]
pub struct Notes {
    /// The last dry run of the promotion.
    pub dry_run: Option<DryRun>,
    /// What the last pass met with.
    pub faults: Vec<Fault>,
    /// The watch of the production Service's EndpointSlices, while the canary leaves it.
    pub endpoints: Option<Following>,
    /// The Services that matter and are nobody's.
    pub services: Services,
    /// There is progress to be told since then.
    untold_since: Option<Timestamp>,
    /// What Prometheus was asked and answered; an answer may come at any time.
    answers: Arc<Answers>,
    tries: u32,
    /// When this task last woke up.
    woken: Timestamp,
    /// When there last was nothing left to do, so nothing to ask either.
    rested: Timestamp,
}

/// By name of the item.
type Answers = Mutex<BTreeMap<String, QueryHistory>>;

impl Notes {
    /// What Prometheus was asked and answered so far.
    pub fn answers(&self) -> BTreeMap<String, QueryHistory> {
        lock(&self.answers).clone()
    }

    /// Since when a question could have been sent that was due then. At rest there was none: one that was due before
    /// that could not be asked yet, and what woke the task changed it.
    fn askable_since(&self, due: Timestamp) -> Timestamp {
        if due < self.rested { self.woken } else { due }
    }

    /// What to do now; mere progress is not told yet, unless something failed: then whoever looks wants to know.
    pub fn decide(&mut self, seen: &Observed) -> Plan {
        let mut plan = lifecycle::plan(seen);
        let tell = plan.status.as_ref().filter(|_| seen.faults.is_empty());
        self.untold_since = tell.map(|_| self.untold_since.unwrap_or(seen.now));
        let until = tell.zip(self.untold_since).and_then(|(tell, since)| tell.deferred_until(since, seen.now));
        if let Some(until) = until {
            plan.status = None;
            plan.requeue_at = plan.requeue_at.into_iter().chain([until]).min();
        }
        plan
    }
}

fn lock(answers: &Answers) -> MutexGuard<'_, BTreeMap<String, QueryHistory>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tends one resource until it is gone.
pub async fn tend(context: Arc<Context>, key: Key, signal: Arc<Notify>) {
    let mut notes = Notes { rested: observe::now(), ..Notes::default() };
    loop {
        let sleep = pass(&context, &key, &signal, &mut notes).await;
        let Some(sleep) = sleep else { break };
        let looked = Instant::now();
        tokio::select! {
            () = signal.notified() => tokio::time::sleep_until(looked + burst(&context, &key)).await,
            () = tokio::time::sleep(sleep) => {}
        }
    }
    context.metrics.forget(&key, notes.answers().keys().map(String::as_str));
    context.dismiss(&key);
}

/// What is judged, or must leave production, is looked at again soon.
pub fn burst(context: &Context, key: &Key) -> Duration {
    let kanary = context.world.kanaries.get(&key.namespace, &key.name);
    match kanary.and_then(|kanary| kanary.status.as_ref()?.phase) {
        Some(Phase::Validating | Phase::Failing) => BURST,
        Some(Phase::Scheduled | Phase::Starting | Phase::Promoting | Phase::Succeeded | Phase::Failed) | None => {
            LONG_BURST
        }
    }
}

/// Looks and acts until there is nothing to do. Answers how long to sleep, or nothing once the resource is gone.
async fn pass(context: &Arc<Context>, key: &Key, signal: &Arc<Notify>, notes: &mut Notes) -> Option<Duration> {
    notes.woken = observe::now();
    for _ in 0..MOST_STEPS {
        let (permit, mut seen) = match turn::take(context, key, signal, notes).await? {
            Turn::Rest(sleep) => return Some(sleep),
            Turn::Act(permit, seen) => (permit, seen),
        };
        let is_unanswered = ask(context, key, &mut seen, notes).await;
        let plan = notes.decide(&seen);
        let step = carry_out(context, &seen, &plan).await;
        drop(permit);
        if plan.status.is_some() {
            notes.untold_since = None;
        }
        match step {
            Ok(Done::Nothing) if is_unanswered => return Some(retry(notes)),
            Ok(Done::Nothing) if seen.faults.is_empty() => return Some(rest(notes, seen.now, plan.requeue_at)),
            Ok(Done::Nothing | Done::All) => notes.faults.clear(),
            // What failed before need not hinder what comes now, least of all that a canary leaves production.
            Ok(Done::ToldOfFault) if plan.enters_phase(&seen) => notes.faults.clear(),
            Ok(Done::ToldOfFault) | Err(Stop::Stale(_) | Stop::Deposed) => return Some(retry(notes)),
            Err(Stop::Failed(fault)) => {
                warn(key, &fault);
                if notes.faults.first() == Some(&fault) {
                    return Some(retry(notes));
                }
                notes.faults = vec![fault];
            }
        }
    }
    // Whoever undoes our writes as fast as we make them does not get a storm for an answer.
    Some(retry(notes))
}

fn warn(key: &Key, fault: &Fault) {
    let Fault { action, error } = fault;
    tracing::warn!(namespace = key.namespace, name = key.name, action, error, "failed");
}

/// What is there now; what is to be asked of Prometheus is on its way then.
pub fn look(context: &Context, key: &Key, signal: &Arc<Notify>, notes: &mut Notes) -> Option<Observed> {
    // What is announced is in memory before that, so this look sees it; the signal is no reason for another.
    let _ = signal.notified().now_or_never();
    context.metrics.looked();
    let mut seen = observe::observe(context, key, notes)?;
    follow_endpoints(context, &seen, signal, notes);
    inquire(context, key, &mut seen, signal, notes);
    Some(seen)
}

/// Asks what the plan needs to know, if anything; was there no answer? A request that fails is a fault, which the plan
/// tells of; or what was asked about is not as observed. The question is due at once then, but asked again with care.
async fn ask(context: &Context, key: &Key, seen: &mut Observed, notes: &mut Notes) -> bool {
    let answered = match lifecycle::lookup(seen) {
        None => return false,
        Some(Lookup::DryRunPromotion { target, patch, template_hash, base_hash }) => {
            let answer = execute::rehearse(context, &key.namespace, &target, &patch).await;
            answer.map(|outcome| {
                let before = seen.base.as_ref().map(|base| &base.spec);
                let at = observe::now();
                notes.dry_run = Some(DryRun::of(template_hash, base_hash, at, before, outcome));
            })
        }
        Some(Lookup::ReadCanary) => {
            let answer = execute::read_canary(context, &seen.kanary).await;
            answer.map(|()| {
                (seen.canary, seen.pods) = observe::canary(context, &seen.kanary);
                seen.is_fresh = true;
            })
        }
        Some(Lookup::ReadRoutes) => {
            let answer = execute::read_routes(context, &key.namespace).await;
            answer.map(|()| {
                seen.routes = observe::all_routes(context);
                seen.routes.is_fresh = true;
            })
        }
    };
    match answered {
        Ok(()) => {}
        Err(Stop::Stale(_) | Stop::Deposed) => return true,
        Err(Stop::Failed(ref fault)) => {
            warn(key, fault);
            notes.faults = vec![fault.clone()];
        }
    }
    seen.dry_run.clone_from(&notes.dry_run);
    seen.faults.clone_from(&notes.faults);
    answered.is_err()
}

/// Sends what is due to Prometheus, and does not wait: each answer wakes the task when it comes.
fn inquire(context: &Context, key: &Key, seen: &mut Observed, signal: &Arc<Notify>, notes: &Notes) {
    for query in lifecycle::due_queries(seen) {
        lock(&notes.answers).entry(query.item.clone()).or_default().pending = Some(seen.now);
        let (prometheus, answers, signal) = (context.prometheus.clone(), notes.answers.clone(), signal.clone());
        let (key, uid, context) = (key.clone(), seen.kanary.uid().to_owned(), context.weak.clone());
        let since = notes.askable_since(query.due);
        tokio::spawn(async move {
            let (at, outcome) = prometheus.query(&key.namespace, &query).await;
            let Some(context) = context.upgrade() else { return };
            context.metrics.lagged(since.duration_until(at));
            judge(&context.metrics, &context.world.kanaries, (&key, &uid), &query.item, &outcome);
            let sent = ClockMark { at, held: query.held };
            lock(&answers).entry(query.item).or_default().record(query.hash, query.query, sent, outcome);
            signal.notify_one();
        });
    }
    let mut answers = lock(&notes.answers);
    let known = seen.kanary.spec.validation.checks();
    let is_known = |name: &String| name == mirror_check::NAME || known.iter().any(|(known, _)| known == name);
    let is_judged = seen.status().phase == Some(Phase::Validating);
    let over = answers.keys().filter(|name| !(is_judged && is_known(name)));
    context.metrics.forget(key, over.map(String::as_str));
    answers.retain(|name, asked| asked.pending.is_some() || is_known(name));
    seen.answers.clone_from(&answers);
}

/// Shows the value that an item is judged by. An answer may come after its resource is gone and its task has ended; nobody
/// would take the value away then.
fn judge(metrics: &Metrics, kanaries: &Memory<KanaryDeployment>, of: (&Key, &str), item: &str, outcome: &Outcome) {
    let (key, uid) = of;
    metrics.judged(key, item, outcome);
    // Not before it is shown: the task could end in between.
    if kanaries.get(&key.namespace, &key.name).is_none_or(|kanary| kanary.uid() != uid) {
        metrics.forget(key, [item]);
    }
}

/// How far a plan was carried out.
enum Done {
    Nothing,
    ToldOfFault,
    All,
}

/// All writes, then the status. After a fault the status goes first: what fails again must not keep it from being seen.
async fn carry_out(context: &Arc<Context>, seen: &Observed, plan: &Plan) -> Result<Done, Stop> {
    let kanary = &seen.kanary;
    if let Some(tell) = plan.status.as_ref().filter(|_| !seen.faults.is_empty()) {
        return execute::tell(context, kanary, tell).await.map(|()| Done::ToldOfFault);
    }
    for action in &plan.actions {
        execute::act(context, kanary.namespace(), action).await?;
    }
    match &plan.status {
        Some(tell) => execute::tell(context, kanary, tell).await.map(|()| Done::All),
        None if plan.actions.is_empty() => Ok(Done::Nothing),
        None => Ok(Done::All),
    }
}

/// Nothing to do: sleep until something is due.
pub fn rest(notes: &mut Notes, looked: Timestamp, requeue_at: Option<Timestamp>) -> Duration {
    (notes.tries, notes.rested) = (0, looked);
    until(requeue_at)
}

pub fn until(requeue_at: Option<Timestamp>) -> Duration {
    let due = requeue_at.map(|at| Duration::try_from(observe::now().duration_until(at)).unwrap_or_default());
    due.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
}

fn retry(notes: &mut Notes) -> Duration {
    let wait = FIRST_RETRY.saturating_mul(1 << notes.tries.min(16)).min(LAST_RETRY);
    notes.tries += 1;
    wait
}

/// While pods leave production, what the Service's EndpointSlices list is watched; and not a moment longer.
fn follow_endpoints(context: &Context, seen: &Observed, signal: &Arc<Notify>, notes: &mut Notes) {
    let failing = seen.status().phase == Some(Phase::Failing);
    let wanted = failing && seen.pods.iter().any(|pod| traffic::was_in_production(pod));
    let service = seen.kanary.spec.service_name.as_deref().filter(|_| wanted);
    match service {
        Some(service) if notes.endpoints.is_none() => {
            notes.endpoints = Some(Following::start(&context.client, seen.kanary.namespace(), service, signal.clone()));
        }
        Some(_) => {}
        None => notes.endpoints = None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::promql::Evidence;

    #[test]
    fn a_question_waits_from_when_it_could_be_sent() {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let notes = Notes { rested: at(10), woken: at(15), ..Notes::default() };
        assert_eq!(notes.askable_since(at(12)), at(12), "the timer was late");
        assert_eq!(notes.askable_since(at(3)), at(15), "until it woke, its canary was not there");
    }

    #[test]
    fn an_answer_that_comes_too_late_shows_no_value() {
        let (metrics, kanaries) = (Metrics::new(), Memory::default());
        let key = Key { namespace: "shop".into(), name: "try".into() };
        let kanary = |uid: &str| -> KanaryDeployment {
            let metadata = json!({"namespace": "shop", "name": "try", "uid": uid, "resourceVersion": "1"});
            serde_json::from_value(json!({
                "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": metadata,
                "spec": {"template": {"spec": {"template": {"spec": {}}}}},
            }))
            .expect("a KanaryDeployment")
        };
        let outcome = Outcome::True(Evidence { value: "1".into(), ..Evidence::default() });
        let shows = || {
            judge(&metrics, &kanaries, (&key, "1"), "errors", &outcome);
            metrics.text(true, false, &[]).contains("kanary_item_value{")
        };
        kanaries.put(kanary("1"));
        assert!(shows());
        kanaries.forget(&kanary("1"));
        assert!(!shows(), "it is gone");
        kanaries.put(kanary("2"));
        assert!(!shows(), "another one has its name");
    }
}
