//! What an approval is about: the images that production has and will have, and what the run still waits for.

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;

use super::upcoming::upcoming;
use crate::{
    api::{ItemKind, KanaryDeployment, Phase, Verdict, names},
    cli::{
        client::{Fetched, RunState, run_state},
        clock,
        connection::Connection,
        images::{self, Images},
        terminal::inline,
    },
};

/// The base.
#[derive(Clone, Debug)]
pub enum Base {
    /// It has these images.
    Found(Images),
    /// It does not exist.
    Missing(String),
    /// It could not be read.
    Unread,
}

impl Base {
    /// Why no user can have compared the canary with it.
    pub(super) fn objection(&self, ahead: bool) -> Option<String> {
        match self {
            Base::Missing(name) if !ahead => Some(format!(
                "the base does not exist: Deployment {name}; create it, or approve its creation unseen with --ahead"
            )),
            Base::Missing(_) | Base::Found(_) | Base::Unread => None,
        }
    }
}

/// Reads the base.
pub(super) async fn base(connection: &Connection, fetched: &Fetched) -> Base {
    let Ok(kanary) = &fetched.kanary else { return Base::Unread };
    let name = names::base(kanary);
    let api = Api::<Deployment>::namespaced(connection.client.clone(), &connection.namespace);
    match api.get_opt(&name).await {
        Ok(Some(base)) => Base::Found(images::of_deployment(&base)),
        Ok(None) => Base::Missing(name),
        Err(_) => Base::Unread,
    }
}

/// The lines below the result: each image, and what is still waited for.
#[must_use]
pub fn shown(kanary: &KanaryDeployment, base: &Base) -> String {
    let old = match base {
        Base::Found(images) => Some(images),
        Base::Missing(_) | Base::Unread => None,
    };
    let change = images::change(old, &images::of_template(kanary));
    let unchanged = if old.is_some() && change.iter().all(|(old, _)| old.is_none()) { " (unchanged)" } else { "" };
    let no_update = if kanary.spec.validation.no_update { "; the base is not updated (noUpdate)" } else { "" };
    let waits = waits(kanary);
    let waits = if waits.is_empty() { String::new() } else { format!("\n  still waiting for: {}", waits.join("; ")) };
    format!("\n  image: {}{unchanged}{no_update}{waits}", images::in_full(&change))
}

/// What comes before the promotion, besides this approval.
fn waits(kanary: &KanaryDeployment) -> Vec<String> {
    let status = upcoming(kanary);
    let mut waits = Vec::new();
    let is_started = match run_state(kanary) {
        RunState::UnderWay(Phase::Scheduled) => {
            waits.extend(kanary.spec.schedule.map(|at| format!("the schedule ({})", clock::moment(at))));
            false
        }
        RunState::UnderWay(Phase::Validating) => true,
        RunState::UnderWay(_) | RunState::Over(_) | RunState::Unseen | RunState::Outdated(_) => false,
    };
    if !is_started {
        waits.push("an available canary".into());
    }
    let checks = kanary.spec.validation.named_items();
    let others = checks.iter().filter(|(_, item)| !matches!(item.kind(), ItemKind::Manual(_)));
    let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
    let is_valid = |name: &str| status.items.iter().any(|item| item.name == name && item.verdict == Verdict::Valid);
    if !others.is_empty() {
        let deadline = status.deadline.filter(|_| is_started).map(|at| format!(" ({})", clock::moment(at)));
        waits.push(format!("the end of the validation period{}", deadline.unwrap_or_default()));
    }
    waits.extend(
        others.into_iter().filter(|name| !is_started || !is_valid(name)).map(|name| format!("item {}", inline(name))),
    );
    waits
}
