//! The finalizer: it is on the `KanaryDeployment` before a user's route gets our entry, and until none has it, so that
//! deleting the resource does not leave an entry that points to a Service that is gone.

use serde_json::json;

use crate::{
    api::{KanaryDeployment, names::MIRROR_FINALIZER},
    decision::{Action, Kind, Observed, Patch, Target},
    objects::Object,
};

/// Is the finalizer on the resource?
#[must_use]
pub fn is_held(kanary: &KanaryDeployment) -> bool {
    kanary.has_finalizer(MIRROR_FINALIZER)
}

/// Adds the finalizer.
pub fn hold(seen: &Observed) -> Action {
    write(seen, finalizers(seen).chain([MIRROR_FINALIZER]).collect())
}

/// Removes the finalizer, and leaves those of others.
pub fn release(seen: &Observed) -> Action {
    write(seen, finalizers(seen).filter(|name| *name != MIRROR_FINALIZER).collect())
}

fn finalizers(seen: &Observed) -> impl Iterator<Item = &str> {
    seen.kanary.metadata.finalizers.iter().flatten().map(String::as_str)
}

/// A merge patch replaces the whole list, so it must be the one that was observed. Applying it could bring a deleted
/// resource back to life.
fn write(seen: &Observed, finalizers: Vec<&str>) -> Action {
    Action::Patch {
        target: Target { kind: Kind::KanaryDeployment, name: seen.kanary.name().to_owned() },
        patch: Patch::Merge(json!({
            "metadata": {"resourceVersion": seen.kanary.version(), "finalizers": finalizers},
        })),
    }
}
