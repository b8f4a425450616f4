//! The simulated user's manual verdict: when one is needed, and what it replaces.

use crate::{
    api::{DefaultStatus, ItemKind, KanaryDeployment, KanaryDeploymentStatus, Validation},
    validation::given,
};

/// The manual verdict of the simulated user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManualVerdict {
    /// The canary is good.
    Approve,
    /// The canary is bad.
    Reject,
}

/// A rejection is simulated as if there were no verdict before.
pub fn clear(kanary: &mut KanaryDeployment) {
    let validation = &mut kanary.spec.validation;
    let of_run = validation.manual.iter_mut().map(|manual| &mut manual.status);
    let of_items = validation.items.iter_mut().filter_map(|item| item.manual.as_mut()).map(|manual| &mut manual.status);
    of_run.chain(of_items).for_each(|status| *status = None);
}

/// Is there a manual item that is not valid at the deadline by default?
pub fn needs_approval(validation: &Validation, status: &KanaryDeploymentStatus) -> bool {
    let default = validation.manual.as_ref().and_then(|manual| manual.status_after_deadline);
    validation.named_items().iter().any(|(name, item)| match item.kind() {
        ItemKind::Manual(manual) => {
            let is_given = given::on_item(name, manual).is_some_and(|given| given.counts(status));
            !is_given && manual.status_after_deadline.or(default) != Some(DefaultStatus::Valid)
        }
        ItemKind::LabelWatch(_) | ItemKind::PromQl(_) => false,
    })
}
