//! The base: pinned when the run begins, compared while it lasts, written once, after the verdict.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        BaseStatus, Cleanup, ConditionStatus, ConditionType, Explanation, KanaryDeploymentStatus, Template, names, text,
    },
    decision::{Action, DryRun, Kind, Lookup, Observed, Patch, Target, owned},
    objects::{Deployment, Object},
    traffic,
};

/// How long after a refused dry run the next one is made: quotas and webhooks change.
const RETRY_DRY_RUN_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// How long after success it is reported if the base loses the template: as a rule, GitOps reverted it.
const REVERT_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// A number that the Deployment controller writes; anybody may write something longer.
const LONGEST_REVISION: usize = 20;

/// A uid has 36 letters; anybody may write something longer into the token.
const LONGEST_UID: usize = 40;

/// Why the base is no longer what the run began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseDrift {
    /// It is gone, or another Deployment has its name.
    Gone(String),
    /// Another client changed its template.
    Changed(String),
}

/// How far the base is with the proven template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// `noUpdate`: it is left alone.
    LeftAlone,
    /// It must be written.
    Due,
    /// It must be written, but not while this is so.
    Withheld(Explanation),
    /// Its rollout is paused, so a write would start nothing.
    Paused,
    /// It has the template, its rollout goes on.
    RollingOut,
    /// It has the template, its rollout does not go on.
    Stalled(String),
    /// It cannot be read, so how far it is is not known.
    Unreadable(String),
    /// It has the template, and its rollout is as far as `cleanup` asks.
    Done,
}

impl Rollout {
    /// Is the canary no longer needed?
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Rollout::LeftAlone | Rollout::Done)
    }
}

/// The name of the pinned base; also of one that is not pinned yet.
fn target(seen: &Observed) -> Target {
    Target { kind: Kind::Deployment, name: names::base(&seen.kanary) }
}

/// Is the base still the one that was pinned? A base that has our token was changed by us.
#[must_use]
pub fn drift(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<BaseDrift> {
    let pinned = status.base.as_ref()?;
    if is_promoted(seen, status) || seen.unreadable_base().is_some() {
        return None;
    }
    let name = &pinned.name;
    let Some(base) = seen.base.as_deref().filter(|base| !base.is_terminating()) else {
        return Some(BaseDrift::Gone(format!("Deployment {name} was deleted")));
    };
    let hash = pinned.template_hash.as_deref()?;
    if base.uid() != pinned.uid {
        return Some(BaseDrift::Gone(format!("Deployment {name} was deleted and created again")));
    }
    if base.spec.template.hash != hash {
        return Some(BaseDrift::Changed(format!(
            "the pod template of Deployment {name} was changed by {}",
            writer(seen, base)
        )));
    }
    // `kubectl replace` drops the annotation, and the Deployment controller puts it back.
    let revisions = pinned.revision.as_deref().zip(base.annotation(names::REVISION));
    revisions.is_some_and(|(pinned, now)| pinned != now).then(|| {
        BaseDrift::Changed(format!(
            "the pod template of Deployment {name} was changed by {}, and changed back",
            writer(seen, base)
        ))
    })
}

/// Which client wrote the pod template last. A restart is such a write: it stamps the template.
fn writer(seen: &Observed, base: &Deployment) -> String {
    match base.last_manager.as_deref() {
        Some(names::MANAGER) => anothers_promotion(seen, base).unwrap_or_else(|| "another client".into()),
        None => "another client".into(),
        Some(manager @ "kubectl-rollout") => format!("the field manager {manager} (kubectl rollout restart, or undo)"),
        Some(manager) => format!("the field manager {manager}"),
    }
}

/// Another KanaryDeployment, if it promoted the base: its token says that it was one, and not which.
fn anothers_promotion(seen: &Observed, base: &Deployment) -> Option<String> {
    let mut token = base.annotation(names::PROMOTED_BY)?.splitn(3, '/');
    let (uid, run, _) = (token.next()?, token.next()?.parse::<i64>().ok()?, token.next()?);
    let is_anothers = !uid.is_empty() && uid != seen.kanary.uid();
    is_anothers.then(|| {
        format!("the promotion of another KanaryDeployment (run {run} of uid {})", text::clip(uid, LONGEST_UID))
    })
}

/// Does the run have a base to compare with?
#[must_use]
pub fn is_pinned(status: &KanaryDeploymentStatus) -> bool {
    status.base.as_ref().is_some_and(|base| base.template_hash.is_some())
}

/// The base as it is now, to be pinned. Nothing while there is none, or while the API server refuses the promotion; nor
/// while the Deployment controller has not counted its template yet: the revision would move and look like an edit.
#[must_use]
pub fn pin(seen: &Observed) -> Option<BaseStatus> {
    let base = seen.base.as_deref().filter(|base| !base.is_terminating() && base.is_observed())?;
    let (promoted_hash, is_equal) = match dry_run(seen) {
        Some(DryRun { outcome: Ok(promoted), changes, .. }) => (Some(promoted.hash.clone()), !changes),
        Some(DryRun { outcome: Err(_), .. }) => return None,
        None if seen.kanary.spec.validation.no_update => (None, false),
        None => return None,
    };
    // A paused base counts its template when it is resumed; one that is scaled at the same time, a moment later.
    let is_counted = !base.spec.paused && base.has_begun_rollout();
    Some(BaseStatus {
        template_hash: Some(base.spec.template.hash.clone()),
        revision: base
            .annotation(names::REVISION)
            .filter(|text| is_counted && text.len() <= LONGEST_REVISION)
            .map(str::to_owned),
        promoted_hash,
        is_equal,
        ..recorded(seen, base)
    })
}

/// That there was a base at first sight: should it go before it is pinned, it is not created again.
#[must_use]
pub fn record(seen: &Observed) -> Option<BaseStatus> {
    seen.base.as_deref().filter(|base| !base.is_terminating()).map(|base| recorded(seen, base))
}

fn recorded(seen: &Observed, base: &Deployment) -> BaseStatus {
    BaseStatus {
        name: base.name().to_owned(),
        uid: base.uid().to_owned(),
        created: base.annotation(names::CREATED_BY) == Some(seen.kanary.uid()),
        ..BaseStatus::default()
    }
}

/// Is a dry run of the promotion needed? `noUpdate` may be removed after the pin.
#[must_use]
pub fn needs_dry_run(seen: &Observed, status: &KanaryDeploymentStatus) -> bool {
    let is_known = status.base.as_ref().is_some_and(|base| base.promoted_hash.is_some());
    !is_known && !seen.kanary.spec.validation.no_update
}

/// Records a dry run that was made after the pin.
pub fn record_dry_run(seen: &Observed, status: &mut KanaryDeploymentStatus) {
    let agreed = dry_run(seen).and_then(|dry_run| Some((dry_run.outcome.as_ref().ok()?, dry_run.changes)));
    let pinned = status.base.as_mut().filter(|base| base.promoted_hash.is_none());
    if let Some((pinned, (promoted, changes))) = pinned.zip(agreed) {
        (pinned.promoted_hash, pinned.is_equal) = (Some(promoted.hash.clone()), !changes);
    }
}

/// The dry run of this very template on this very base.
#[must_use]
pub fn dry_run(seen: &Observed) -> Option<&DryRun> {
    let dry_run = seen.fitting_dry_run()?;
    // Without a promotion a refusal does not matter; no dry run is made then either, so it would stay indefinitely.
    let is_moot = seen.kanary.spec.validation.no_update && dry_run.outcome.is_err();
    (!is_moot).then_some(dry_run)
}

/// When to try a refused promotion again.
#[must_use]
pub fn retry_dry_run_at(dry_run: &DryRun) -> jiff::Timestamp {
    dry_run.at.saturating_add(RETRY_DRY_RUN_AFTER).unwrap_or(jiff::Timestamp::MAX)
}

/// Requests a dry run of the promotion, unless there is one of this base already.
#[must_use]
pub fn lookup(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Lookup> {
    let base = seen.base.as_deref().filter(|base| !base.is_terminating())?;
    let fresh = dry_run(seen).is_some_and(|r| r.outcome.is_ok() || seen.now < retry_dry_run_at(r));
    let is_needed = needs_dry_run(seen, status) || traffic::needs_dry_run(seen);
    (is_needed && !fresh).then(|| Lookup::DryRunPromotion {
        target: target(seen),
        patch: patch(seen, status, base),
        template_hash: seen.kanary.spec.template.hash().to_owned(),
        base_hash: base.spec.template.hash.clone(),
    })
}

/// Creates the base from the template. It has no owner.
#[must_use]
pub fn create(seen: &Observed) -> Action {
    let template = &seen.kanary.spec.template;
    let target = target(seen);
    let mut annotations = owned::user_annotations(template);
    annotations.insert(names::CREATED_BY.into(), seen.kanary.uid().to_owned());
    let object = json!({
        "apiVersion": target.kind.api_version(),
        "kind": target.kind.as_str(),
        "metadata": {
            "name": target.name,
            "namespace": seen.kanary.namespace(),
            "labels": template.labels(),
            "annotations": annotations,
        },
        "spec": template.spec(),
    });
    Action::CreateBase { target, object }
}

/// `<KD uid>/<run>/<templateHash>`: the annotation of the base once this run has promoted it.
#[must_use]
pub fn token(seen: &Observed, status: &KanaryDeploymentStatus) -> String {
    let hash = status.template_hash.as_deref().unwrap_or_default();
    format!("{}/{}/{hash}", seen.kanary.uid(), status.run.unwrap_or_default())
}

/// Did this run write the base? Its token says so on any template but the pinned one: a reply may be lost, a webhook may
/// change what we wrote. On the pinned one, which the Deployment controller has not counted anew either, it does not: anybody
/// may write an annotation. Once persisted, not even a `kubectl rollout undo` that takes the token away makes us write again.
#[must_use]
pub fn is_promoted(seen: &Observed, status: &KanaryDeploymentStatus) -> bool {
    let persisted = status.conditions.iter().any(|condition| {
        condition.type_ == ConditionType::DeploymentUpdated && condition.status == ConditionStatus::True
    });
    persisted || seen.base.as_deref().is_some_and(|base| is_marked(seen, status, base))
}

/// Has the base our token, and can we have written it?
fn is_marked(seen: &Observed, status: &KanaryDeploymentStatus, base: &Deployment) -> bool {
    let Some(pinned) = status.base.as_ref().filter(|pinned| pinned.template_hash.is_some()) else { return false };
    let keeps_template = pinned.template_hash == pinned.promoted_hash;
    let is_other = pinned.template_hash.as_deref() != Some(&base.spec.template.hash);
    let counted = pinned.revision.as_deref().zip(base.annotation(names::REVISION));
    let is_recounted = counted.is_some_and(|(pinned, now)| pinned != now);
    let has_token = base.annotation(names::PROMOTED_BY) == Some(&token(seen, status));
    has_token && (keeps_template || is_other || is_recounted)
}

/// Does the base have the pod template of the promotion?
#[must_use]
pub fn has_template(seen: &Observed, status: &KanaryDeploymentStatus) -> bool {
    let promoted = status.base.as_ref().and_then(|base| base.promoted_hash.as_ref());
    seen.base.as_deref().zip(promoted).is_some_and(|(base, hash)| base.spec.template.hash == *hash)
}

/// Was the base such that the promotion changes nothing, when it was pinned, so that this run never writes it?
#[must_use]
pub fn was_up_to_date(status: &KanaryDeploymentStatus) -> bool {
    status.base.as_ref().is_some_and(|base| base.is_equal)
}

/// Can the write be skipped? Another client may have given it the template in the meantime; but a template that is the
/// pinned one still lacks what else the promotion brings, such as another strategy.
fn is_up_to_date(seen: &Observed, status: &KanaryDeploymentStatus) -> bool {
    let is_new = status.base.as_ref().is_some_and(|base| base.template_hash != base.promoted_hash);
    has_template(seen, status) && (is_new || was_up_to_date(status))
}

/// How far the base is, after a verdict of success.
#[must_use]
pub fn rollout(seen: &Observed, status: &KanaryDeploymentStatus) -> Rollout {
    if seen.kanary.spec.validation.no_update && !is_promoted(seen, status) {
        return Rollout::LeftAlone;
    }
    if let Some(why) = seen.unreadable_base() {
        return Rollout::Unreadable(why.to_string());
    }
    let Some(base) = seen.base.as_deref() else { return Rollout::Done };
    if !is_promoted(seen, status) && !is_up_to_date(seen, status) {
        return match traffic::loss(seen) {
            _ if base.spec.paused => Rollout::Paused,
            Some(why) => Rollout::Withheld(why),
            None => Rollout::Due,
        };
    }
    let done = match seen.kanary.spec.validation.cleanup {
        Cleanup::RolloutStarted => base.has_begun_rollout(),
        Cleanup::RolloutComplete => base.has_completed_rollout(),
    };
    match (done, base.spec.paused, base.stall()) {
        (true, _, _) => Rollout::Done,
        (false, true, _) => Rollout::Paused,
        (false, false, Some(why)) => Rollout::Stalled(why.to_owned()),
        (false, false, None) => Rollout::RollingOut,
    }
}

/// Did another client take the proven template from the base, soon after success? Which one and how, in a sentence. The
/// template says so, whatever name its writer gave itself; but one that has our token and name, and is neither that of the
/// dry run nor the pinned one, is ours as a webhook changed it.
#[must_use]
pub fn revert(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<String> {
    let minds_until = status.finished_at?.saturating_add(REVERT_WINDOW).ok()?;
    let base = seen.base.as_deref().filter(|_| seen.now < minds_until)?;
    let pinned = status.base.as_ref().filter(|pinned| pinned.uid == base.uid())?;
    let hash = Some(&base.spec.template.hash);
    let (is_promoted, is_back) = (hash == pinned.promoted_hash.as_ref(), hash == pinned.template_hash.as_ref());
    let has_token = base.annotation(names::PROMOTED_BY) == Some(&token(seen, status));
    let is_ours = is_promoted || (!is_back && has_token && base.last_manager.as_deref() == Some(names::MANAGER));
    let (name, writer) = (base.name(), writer(seen, base));
    let done = if is_back { "reverted the promotion of" } else { "changed the pod template of" };
    let fix = match anothers_promotion(seen, base) {
        Some(_) if base.last_manager.as_deref() == Some(names::MANAGER) => "",
        Some(_) | None => "; commit the promoted template there, or see kubectl kanary gitops-ignore",
    };
    (!is_ours).then(|| format!("{writer} {done} Deployment {name}{fix}"))
}

/// The one write to the base.
#[must_use]
pub fn promote(seen: &Observed) -> Option<Action> {
    let base = seen.base.as_deref()?;
    let patch = patch(seen, seen.status(), base);
    Some(Action::Promote { target: target(seen), patch })
}

/// Replaces the pod template whole; what else the template sets follows; the selector is never touched.
fn patch(seen: &Observed, status: &KanaryDeploymentStatus, base: &Deployment) -> Patch {
    let template = &seen.kanary.spec.template;
    let mut operations = vec![
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": base.version()}),
        json!({"op": "replace", "path": "/spec/template", "value": template.pod_template()}),
    ];
    operations.extend(followers(seen, &template.spec()));
    let meta = base.meta();
    operations.extend(owned::additions("labels", meta.labels.is_some(), template.labels()));
    operations.extend(owned::additions(
        "annotations",
        meta.annotations.is_some(),
        promoted_annotations(seen, status, template),
    ));
    Patch::Json(operations)
}

fn followers(seen: &Observed, spec: &Map<String, Value>) -> Vec<Value> {
    const FOLLOW: [&str; 4] = ["strategy", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"];
    let replicas = seen.base_autoscaler().is_none().then_some("replicas");
    // kubectl writes `strategy: {}` where none is set; the API server would make its default of it.
    let says_something = |value: &&Value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty());
    FOLLOW
        .into_iter()
        .chain(replicas)
        .filter_map(|field| Some((field, spec.get(field).filter(says_something)?)))
        .map(|(field, value)| json!({"op": "add", "path": format!("/spec/{field}"), "value": value}))
        .collect()
}

fn promoted_annotations(
    seen: &Observed,
    status: &KanaryDeploymentStatus,
    template: &Template,
) -> crate::objects::Labels {
    let mut annotations = owned::user_annotations(template);
    let run = status.run.unwrap_or_default();
    let cause = || format!("promoted by KanaryDeployment {}, run {run}", seen.kanary.name());
    annotations.entry(names::CHANGE_CAUSE.into()).or_insert_with(cause);
    annotations.insert(names::PROMOTED_BY.into(), token(seen, status));
    annotations
}
