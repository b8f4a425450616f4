//! What happens next: from all that is observed to what is done, told and waited for.
//!
//! Pure: no I/O, no clock, no randomness. The same observation gives the same plan, always.

pub mod base;
mod can_wait;
pub mod children;
mod clock;
mod notices;
pub mod phase;
mod refusal;
pub mod run;
mod story;

use jiff::{SignedDuration, Timestamp};
use phase::Guards;
use refusal::Refusal;

use crate::{
    api::{CanaryStatus, KanaryDeploymentStatus, Phase, Source},
    canary::{self, Readiness, Withheld},
    decision::{Action, Kind, Lookup, Notice, Observed, Plan, StatusUpdate, owned},
    objects::Object,
    promql::Query,
    traffic::{self, Obstacle, TrafficStatus, mirror},
    validation::{self, Assessment, Timing, promql::mirror_check},
};

/// After a failure the canary's pods get so long to leave the production Service's EndpointSlices.
const LEAVE_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// What must be asked before a plan can be made of this observation.
#[must_use]
pub fn lookup(seen: &Observed) -> Option<Lookup> {
    let begun = run::begins(seen);
    let status = begun.as_ref().map_or_else(|| seen.status(), |begun| &begun.status);
    let before_verdict = matches!(status.phase, Some(Phase::Starting | Phase::Validating)) && !is_deleted(seen);
    let rehearse = before_verdict.then(|| base::rehearse(seen, status)).flatten();
    let read_canary = || (begun.is_none() && is_about_to_succeed(seen)).then_some(Lookup::ReadCanary);
    rehearse.or_else(read_canary).or_else(|| mirror_ends(seen, status).then(|| mirror::lookup(seen)).flatten())
}

/// Would it be a success, if all is as it looks?
fn is_about_to_succeed(seen: &Observed) -> bool {
    if seen.is_fresh || seen.status().phase != Some(Phase::Validating) || is_deleted(seen) {
        return false;
    }
    let update = plan(&Observed { is_fresh: true, ..seen.clone() }).status;
    update.is_some_and(|update| update.status.phase == Some(Phase::Promoting))
}

/// Is no mirror wanted any more, and nothing left that comes before its finalizer?
fn mirror_ends(seen: &Observed, status: &KanaryDeploymentStatus) -> bool {
    let nothing_left = || children::remove_all(seen).is_empty();
    let ends = match status.phase {
        None => false,
        Some(Phase::Promoting) if base::progress(seen, status).is_over() => nothing_left(),
        Some(Phase::Starting | Phase::Validating | Phase::Promoting) => {
            seen.kanary.spec.traffic.source != Source::Mirror
        }
        Some(Phase::Scheduled | Phase::Failing | Phase::Succeeded | Phase::Failed) => nothing_left(),
    };
    ends || is_deleted(seen)
}

/// What to ask of Prometheus now. Nothing waits for the answers: they are observed when they come.
#[must_use]
pub fn due_queries(seen: &Observed) -> Vec<Query> {
    let status = seen.status();
    if is_deleted(seen) || run::begins(seen).is_some() {
        return Vec::new();
    }
    if mirror::count_at(seen, status).is_some_and(|due| due <= seen.now) {
        return mirror_check::query(seen, status).into_iter().collect();
    }
    let is_under_way = status.phase == Some(Phase::Validating);
    // An edit is told first: what is asked meanwhile would not count.
    let is_told = is_under_way && !validation::is_edited(seen);
    if !is_told || !validation::has_queries(seen) || !is_at_work(seen, status, &Facts::gather(seen)) {
        return Vec::new();
    }
    validation::due_queries(seen, status)
}

/// What to do, to tell and to wait for. It never fails: what cannot be done is a condition in the status.
///
/// Actions follow from the *persisted* phase; the next phase is told in the status, and acted on once it is persisted.
/// But a canary that fails leaves production at once: that is safe whatever becomes of the status.
#[must_use]
pub fn plan(seen: &Observed) -> Plan {
    if is_deleted(seen) {
        // Owner references take care of the rest.
        return Plan { actions: mirror::leave(seen), status: story::tell_of_deletion(seen), requeue_at: None };
    }
    let facts = Facts::gather(seen);
    let begun = run::begins(seen);
    let (mut status, mut notices) = match begun {
        Some(begun) => (begun.status, vec![begun.notice]),
        None => (seen.status().clone(), Vec::new()),
    };
    let is_persisted = notices.is_empty();
    let mut actions = if is_persisted { act(seen, &status, &facts) } else { Vec::new() };
    pin_base(seen, &mut status);
    observe_canary(seen, &mut status, &facts, &actions);
    let guards = guards(seen, &mut status, &facts);
    if is_persisted && let Some((phase, cause)) = phase::next(status.phase.unwrap_or(Phase::Scheduled), &guards) {
        notices.extend(enter(seen, &mut status, phase, &cause, &guards));
        if phase == Phase::Failing {
            actions = leave(seen, &facts);
        }
    }
    notices.extend(story::tell(seen, &mut status, &facts, &guards));
    let requeue_at = requeue_at(seen, &status, &facts);
    let differs = Some(&status) != seen.kanary.status.as_ref() && !patches_own_resource(seen, &actions);
    let update = differs.then(|| {
        let can_wait = notices.is_empty() && can_wait::is_progress(seen.status(), &status);
        StatusUpdate { status, notices, can_wait }
    });
    Plan { actions, status: update, requeue_at }
}

/// Does the plan write the resource itself? A status that goes with the resourceVersion of before would be refused. After a
/// fault the status goes first.
fn patches_own_resource(seen: &Observed, actions: &[Action]) -> bool {
    seen.faults.is_empty() && actions.iter().any(|action| action.target().kind == Kind::KanaryDeployment)
}

/// What is true at this moment, whatever the phase.
pub(crate) struct Facts {
    pub withheld: Withheld,
    /// Which canary Deployment there should be.
    pub desired_hash: String,
    pub readiness: Readiness,
    /// What the user must change.
    pub refusal: Option<Refusal>,
    pub obstacle: Option<Obstacle>,
    pub traffic: TrafficStatus,
}

impl Facts {
    fn gather(seen: &Observed) -> Self {
        let withheld = canary::withhold(seen);
        let desired_hash = canary::desired_hash(&seen.kanary, &withheld);
        let obstacle = traffic::obstacle(seen, &withheld);
        Self {
            readiness: canary::readiness(seen, &desired_hash),
            refusal: refusal::find(seen, &withheld),
            traffic: traffic::standing(seen, obstacle.as_ref()),
            obstacle,
            withheld,
            desired_hash,
        }
    }
}

fn is_deleted(seen: &Observed) -> bool {
    seen.kanary.metadata.deletion_timestamp.is_some()
}

/// The writes that the persisted phase asks for.
fn act(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Vec<Action> {
    match status.phase {
        None => Vec::new(),
        // A restart may have left a canary that nobody judges.
        Some(Phase::Scheduled) => withdraw(seen, facts),
        Some(Phase::Starting) => start(seen, status, facts),
        Some(Phase::Validating) => maintain(seen, Phase::Validating, facts),
        Some(Phase::Promoting) => promote(seen, status, facts),
        Some(Phase::Failing) => fail(seen, status, facts),
        // A write of ours that arrived late, or of a controller that is no longer the leader.
        Some(Phase::Succeeded | Phase::Failed) => end(seen),
    }
}

fn start(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Vec<Action> {
    let pinned = base::is_pinned(status);
    let never_recorded = status.base.is_none() && seen.base.is_none();
    let create_base = never_recorded && facts.refusal.is_none();
    if pinned && !is_hindered(facts) {
        return maintain(seen, Phase::Starting, facts);
    }
    // What a restart found there is not made anew yet, but it goes where the spec sends it.
    let base = create_base.then(|| base::create(seen));
    let moves = traffic::move_out_pods(seen, &facts.withheld);
    moves.into_iter().chain(mirror::upkeep(seen, false)).chain(base).collect()
}

/// Nothing is created while something stands in the way.
fn is_hindered(facts: &Facts) -> bool {
    facts.refusal.is_some() || facts.obstacle.is_some()
}

/// Pods first: a child that the API server refuses must not keep them in production.
fn maintain(seen: &Observed, phase: Phase, facts: &Facts) -> Vec<Action> {
    let refused = facts.refusal.is_some();
    let upkeep = if refused { Vec::new() } else { children::upkeep(seen, &facts.withheld, &facts.desired_hash) };
    let mirror = mirror::upkeep(seen, !refused);
    move_pods(seen, facts, phase).into_iter().chain(upkeep).chain(mirror).collect()
}

fn promote(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Vec<Action> {
    match base::progress(seen, status) {
        base::Progress::Due if base::loss(seen, status).is_none() => base::promote(seen).into_iter().collect(),
        progress if progress.is_over() => end(seen),
        _ => {
            // The rollout may take hours. Who asks for less traffic meanwhile gets less.
            let asks_no_copies = seen.kanary.spec.traffic.source != Source::Mirror;
            let mirror = asks_no_copies.then(|| mirror::upkeep(seen, false)).into_iter().flatten();
            let strays = traffic::remove_stray_services(seen);
            move_pods(seen, facts, Phase::Promoting).into_iter().chain(mirror).chain(strays).collect()
        }
    }
}

fn move_pods(seen: &Observed, facts: &Facts, phase: Phase) -> Vec<Action> {
    traffic::move_pods(seen, &facts.withheld, phase, facts.readiness == Readiness::Ready)
}

/// The canary leaves production first; what is left is deleted once no EndpointSlice lists its pods.
fn fail(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Vec<Action> {
    let leaves = leave(seen, facts);
    let is_overdue = leave_by(status).is_some_and(|deadline| deadline <= seen.now);
    if leaves.is_empty() {
        return if is_overdue || !is_leaving(seen) { end(seen) } else { Vec::new() };
    }
    // A write that is refused must not keep a failed canary in production: without pods it is out as well.
    let removals = if is_overdue { children::remove_all(seen) } else { Vec::new() };
    removals.into_iter().chain(leaves).collect()
}

/// Out of production, then away.
fn withdraw(seen: &Observed, facts: &Facts) -> Vec<Action> {
    let leaves = leave(seen, facts);
    if leaves.is_empty() { end(seen) } else { leaves }
}

/// The canary's pods leave production, and no more requests are copied to them.
fn leave(seen: &Observed, facts: &Facts) -> Vec<Action> {
    move_pods(seen, facts, Phase::Failing).into_iter().chain(mirror::clear(seen)).collect()
}

/// First nothing refers to the canary any more, then it goes, then the mirror's finalizer.
fn end(seen: &Observed) -> Vec<Action> {
    let steps = [mirror::clear, children::remove_all, mirror::leave];
    steps.into_iter().map(|step| step(seen)).find(|actions| !actions.is_empty()).unwrap_or_default()
}

/// May an EndpointSlice still send traffic to a canary pod that was in production?
#[must_use]
pub fn is_leaving(seen: &Observed) -> bool {
    let mut were_in = seen.pods.iter().filter(|pod| traffic::was_in_production(pod));
    were_in.any(|pod| seen.endpoints.as_ref().is_none_or(|listed| listed.contains(pod.name())))
}

fn leave_by(status: &KanaryDeploymentStatus) -> Option<Timestamp> {
    status.verdict_at?.saturating_add(LEAVE_WITHIN).ok()
}

fn pin_base(seen: &Observed, status: &mut KanaryDeploymentStatus) {
    match status.phase {
        Some(Phase::Starting) if !base::is_pinned(status) => {
            status.base = base::pin(seen).or_else(|| status.base.take()).or_else(|| base::record(seen));
        }
        Some(Phase::Starting | Phase::Validating) => base::record_dry_run(seen, status),
        Some(Phase::Scheduled | Phase::Promoting | Phase::Failing | Phase::Succeeded | Phase::Failed) | None => {}
    }
}

/// What the status says of the canary's objects.
fn observe_canary(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, actions: &[Action]) {
    if status.phase.is_none_or(Phase::is_over) {
        return;
    }
    // After a fault the status is told before anything is written, so what is planned says nothing of what is there.
    let rewritten = |kind| seen.faults.is_empty() && actions.iter().any(|action| action.rewrites() == Some(kind));
    let before = status.canary.clone().unwrap_or_default();
    let canary = seen.own_canary();
    // Of one that is taken away only the end is news.
    let is_over = matches!(status.phase, Some(Phase::Promoting | Phase::Failing));
    let (ready_replicas, replicas) = match canary {
        Some(canary) if is_over && canary.is_terminating() => (before.ready_replicas, before.replicas),
        Some(canary) => (canary.status.ready_replicas, canary.spec.replicas),
        None => (0, 0),
    };
    let fingerprint = canary.and_then(|canary| owned::fingerprint(canary, &canary.spec.hash));
    let hpa_fingerprint = seen.own_autoscaler().and_then(|hpa| owned::fingerprint(hpa, &hpa.spec.hash));
    let spec = &seen.kanary.spec;
    status.canary = Some(CanaryStatus {
        deployment: crate::api::names::canary(&seen.kanary),
        service: spec.traffic.source.has_kanary_service().then(|| crate::api::names::kanary_service(&seen.kanary)),
        hpa: spec.scale.hpa.as_ref().map(|_| crate::api::names::canary(&seen.kanary)),
        routes: mirror::carried_by(seen),
        ready_replicas,
        replicas,
        deployment_hash: record(before.deployment_hash, fingerprint, rewritten(Kind::Deployment)),
        hpa_hash: record(before.hpa_hash, hpa_fingerprint, rewritten(Kind::HorizontalPodAutoscaler)),
        unavailable_since: unavailable_since(seen, status.phase, &facts.readiness, before.unavailable_since),
    });
}

/// It counts while the canary is awaited or judged: one that is taken away is no news.
fn unavailable_since(
    seen: &Observed,
    phase: Option<Phase>,
    readiness: &Readiness,
    before: Option<Timestamp>,
) -> Option<Timestamp> {
    match (phase, readiness) {
        (Some(Phase::Starting), Readiness::NotReady { .. })
        | (Some(Phase::Validating), Readiness::Absent | Readiness::NotReady { .. }) => before.or(Some(seen.now)),
        _ => None,
    }
}

/// The first sight of a child that we made is what the API server made of it; it stands until we write again.
fn record(before: Option<String>, now: Option<String>, rewritten: bool) -> Option<String> {
    let made_from = |print: &Option<String>| {
        print.as_ref().and_then(|print| print.split_once(':')).map(|(made_from, _)| made_from.to_owned())
    };
    match (rewritten, made_from(&before) == made_from(&now)) {
        (true, _) => None,
        (false, true) => before.or(now),
        (false, false) => now,
    }
}

/// Can the canary be judged, as far as the cluster goes? A restart may find the canary of the run before still available:
/// without a pin nothing is proven against anything.
fn is_at_work(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> bool {
    base::is_pinned(status)
        && !base::needs_dry_run(seen, status)
        && facts.readiness == Readiness::Ready
        && facts.traffic.is_on()
        && seen.watch_broken_since.is_none()
        && facts.refusal.is_none()
}

/// The signs of the moment; in Validating the clock is brought up to now.
fn guards(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts) -> Guards {
    let at_work = is_at_work(seen, status, facts);
    let mut gap = None;
    if status.phase == Some(Phase::Validating) {
        if validation::is_edited(seen) {
            clock::begin_evidence(status, seen);
        }
        clock::account_for(status, &seen.absences);
        if let Some(missing) = validation::unrecorded_gap(seen, status) {
            clock::set_back(status, missing);
        }
        gap = validation::current_gap(seen, status).filter(|_| at_work);
        let standstill =
            if at_work { gap.as_ref().map(|gap| gap.since) } else { Some(clock::hold_since(status, seen)) };
        clock::advance(status, seen, standstill);
    }
    let period_over = status.phase == Some(Phase::Validating) && clock::is_over(status, seen.now);
    let moment = Timing { period_over, available: facts.readiness == Readiness::Ready };
    // After the verdict what was said stands.
    let (mut assessment, mut items) = (Assessment::Open { message: None }, status.items.clone());
    if matches!(status.phase, Some(Phase::Starting | Phase::Validating)) {
        (assessment, items) = validation::judge(seen, status, moment);
        status.items = validation::coalesce(&status.items, &items);
    }
    Guards {
        due: run::is_due(seen),
        loss: base::loss(seen, status),
        assessment,
        stuck: stuck(seen, status, facts),
        judgeable: at_work && gap.is_none(),
        is_fresh: seen.is_fresh,
        gap,
        items,
        progress: base::progress(seen, status),
        clean: children::none_left(seen),
    }
}

/// Has the canary not been available for longer than its progress deadline?
fn stuck(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Option<String> {
    let deadline = stuck_at(seen, status, facts)?;
    let Readiness::NotReady { reason, message } = &facts.readiness else { return None };
    let waited = crate::api::duration::print(seen.kanary.spec.template.progress_deadline());
    let pod = canary::unready_pod(seen).filter(|_| reason == "Progressing");
    let pod = pod.map(|pod| format!("; {pod}")).unwrap_or_default();
    (deadline <= seen.now)
        .then(|| format!("the canary was not available for {waited} (progressDeadlineSeconds): {message}{pod}"))
}

fn stuck_at(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Option<Timestamp> {
    let Readiness::NotReady { .. } = &facts.readiness else { return None };
    if seen.watch_broken_since.is_some() || !matches!(status.phase, Some(Phase::Starting | Phase::Validating)) {
        return None;
    }
    let since = status.canary.as_ref()?.unavailable_since?;
    // What it did while nobody watched is not known.
    let since = seen.absences.iter().map(|absence| absence.until).fold(since, Timestamp::max);
    since.saturating_add(seen.kanary.spec.template.progress_deadline()).ok()
}

/// Enters a phase.
fn enter(
    seen: &Observed,
    status: &mut KanaryDeploymentStatus,
    phase: Phase,
    cause: &phase::Cause,
    guards: &Guards,
) -> Vec<Notice> {
    status.phase = Some(phase);
    match phase {
        Phase::Starting => status.started_at = Some(seen.now),
        Phase::Validating => clock::start(status, seen),
        Phase::Promoting | Phase::Failing => {
            status.verdict_at = Some(seen.now);
            status.items.clone_from(&guards.items);
        }
        Phase::Succeeded | Phase::Failed => status.finished_at = Some(seen.now),
        Phase::Scheduled => {}
    }
    story::enter(seen, status, phase, cause, guards)
}

/// When something is due that no watch announces.
fn requeue_at(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Option<Timestamp> {
    let rehearse = || base::dry_run(seen).filter(|_| base::needs_dry_run(seen, status)).map(base::retry_dry_run_at);
    let evidence = || validation::wake(seen, status).filter(|_| is_at_work(seen, status, facts));
    let due = match status.phase? {
        Phase::Scheduled => seen.kanary.spec.schedule,
        Phase::Starting => {
            stuck_at(seen, status, facts).into_iter().chain(rehearse()).chain(mirror::count_at(seen, status)).min()
        }
        Phase::Validating if status.held_since.is_some() => {
            stuck_at(seen, status, facts).into_iter().chain(evidence()).chain(rehearse()).min()
        }
        Phase::Validating => {
            let deadline = status.deadline.filter(|deadline| *deadline > seen.now);
            deadline.into_iter().chain(evidence()).min()
        }
        Phase::Failing => leave_by(status).filter(|deadline| *deadline > seen.now),
        Phase::Promoting | Phase::Succeeded | Phase::Failed => None,
    };
    due.map(|due| due.max(seen.now))
}
