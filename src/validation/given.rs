//! Which run a manual verdict is for: the one that it names, else the one in which it was first seen.
//!
//! That is kept in the status, so that a verdict which stays in the spec counts for nothing in a later run. It is written
//! together with the phase that a verdict leads to, so a crash cannot lose the one and keep the other.
//!
//! Not here: what a verdict that counts does (`manual`).

use crate::{
    api::{ItemKind, KanaryDeployment, KanaryDeploymentStatus, Manual, ManualStatus, ManualVerdict},
    hash,
};

/// A manual verdict as it is in the spec.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Given<'a> {
    /// The item; none: the whole run.
    item: Option<&'a str>,
    /// What it says.
    pub verdict: ManualStatus,
    /// Why.
    pub reason: Option<&'a str>,
    run: Option<i64>,
    template_hash: Option<&'a str>,
    by: Option<&'a str>,
}

/// The verdict on the whole run.
#[must_use]
pub fn on_run(kanary: &KanaryDeployment) -> Option<Given<'_>> {
    let manual = kanary.spec.validation.manual.as_ref()?;
    Some(Given {
        item: None,
        verdict: manual.status?,
        reason: manual.reason.as_deref(),
        run: manual.run,
        template_hash: manual.template_hash.as_deref(),
        by: manual.by.as_deref(),
    })
}

/// The verdict on one item.
#[must_use]
pub fn on_item<'a>(name: &'a str, manual: &'a Manual) -> Option<Given<'a>> {
    Some(Given {
        item: Some(name),
        verdict: manual.status?,
        reason: None,
        run: manual.run,
        template_hash: manual.template_hash.as_deref(),
        by: None,
    })
}

/// What is said of all manual verdicts that count for nothing; nothing if there are none.
#[must_use]
pub fn outdated(kanary: &KanaryDeployment, status: &KanaryDeploymentStatus) -> Option<String> {
    let items = kanary.spec.validation.named_items();
    let mut all = on_run(kanary).into_iter().chain(items.iter().filter_map(|(name, item)| match item.kind() {
        ItemKind::Manual(manual) => on_item(name, manual),
        ItemKind::LabelWatch(_) | ItemKind::PromQl(_) => None,
    }));
    all.find(|given| !given.counts(status)).map(|given| given.whose(status))
}

/// Brings `status.manualVerdicts` up to the spec. A verdict without a run is for the run `first` if it was not known before.
pub fn record(kanary: &KanaryDeployment, status: &mut KanaryDeploymentStatus, first: i64) {
    let items = kanary.spec.validation.named_items();
    let is_item = |name: &str| items.iter().any(|(item, _)| item == name);
    let known = |given: &Given<'_>| {
        let same = || status.manual_verdicts.iter().filter(|known| given.is(known));
        // An item that got another name still has its old verdict.
        let renamed =
            |known: &&ManualVerdict| given.item.is_some() && known.item.as_deref().is_some_and(|name| !is_item(name));
        same().find(|known| known.item.as_deref() == given.item).or_else(|| same().find(renamed))
    };
    let entry = |given: Given<'_>| {
        let run = given.run.or_else(|| known(&given).map(|known| known.run)).or(match given.template_hash {
            None => Some(first),
            Some(hash) => status.run.filter(|_| status.template_hash.as_deref() == Some(hash)),
        });
        Some(given.entry(run?))
    };
    let on_items = items.iter().filter_map(|(name, item)| on_item(name, item.manual.as_ref()?));
    status.manual_verdicts = on_run(kanary).into_iter().chain(on_items).filter_map(entry).collect();
}

impl Given<'_> {
    /// Is it for this run, and for its template?
    #[must_use]
    pub fn counts(&self, status: &KanaryDeploymentStatus) -> bool {
        self.run_of(status).is_none_or(|run| run == status.run.unwrap_or(1)) && self.is_for_template(status)
    }

    /// ` by ann`, if it names a user.
    #[must_use]
    pub fn author(&self) -> String {
        self.by.filter(|by| *by != "-").map(|by| format!(" by {by}")).unwrap_or_default()
    }

    /// Why it does not count.
    #[must_use]
    pub fn whose(&self, status: &KanaryDeploymentStatus) -> String {
        let said = match self.verdict {
            ManualStatus::Valid => "approved",
            ManualStatus::Invalid => "rejected",
        };
        let now = status.run.unwrap_or(1);
        match self.run_of(status).filter(|run| *run != now) {
            Some(run) => format!("{said} for run {run}, not for run {now}"),
            None => format!("{said} for another template (templateHash), not for that of run {now}"),
        }
    }

    fn run_of(&self, status: &KanaryDeploymentStatus) -> Option<i64> {
        let known = status.manual_verdicts.iter().find(|known| known.item.as_deref() == self.item && self.is(known));
        self.run.or_else(|| known.map(|known| known.run))
    }

    fn is_for_template(&self, status: &KanaryDeploymentStatus) -> bool {
        self.template_hash.is_none_or(|hash| status.template_hash.as_deref() == Some(hash))
    }

    fn entry(&self, run: i64) -> ManualVerdict {
        ManualVerdict {
            item: self.item.map(str::to_owned),
            verdict: self.verdict,
            run,
            reason_hash: self.reason_hash(),
            template_hash: self.template_hash.map(str::to_owned),
        }
    }

    /// Is it the same verdict? One that no longer names a template is.
    fn is(&self, known: &ManualVerdict) -> bool {
        self.verdict == known.verdict
            && self.reason_hash() == known.reason_hash
            && (self.template_hash.is_none() || self.template_hash == known.template_hash.as_deref())
    }

    fn reason_hash(&self) -> Option<String> {
        self.reason.map(|reason| hash::of_texts([reason]))
    }
}
