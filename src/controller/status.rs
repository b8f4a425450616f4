//! Writes the status of a `KanaryDeployment`, then publishes its events.

use std::sync::Arc;

use http::{HeaderValue, header};
use kube::{
    Resource,
    api::PatchParams,
    core::Request,
    runtime::events::{Event, EventType},
};
use serde::{Deserialize, Serialize};
use tracing::Instrument;

use super::{
    context::Context,
    execute::{self, ExecuteError, classify, outcome},
    request::bounded,
};
use crate::{
    api::{
        KanaryDeployment, KanaryDeploymentStatus, Reason,
        text::{MOST, clip},
    },
    decision::{Kind, Notice, StatusUpdate},
    hash,
    objects::Object,
};

/// A status that is applied: the whole of it, to the resource as it was observed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusPatch<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Observed<'a>,
    status: &'a KanaryDeploymentStatus,
}

/// The resource as it was observed; any other is refused.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Observed<'a> {
    name: &'a str,
    uid: &'a str,
    resource_version: &'a str,
}

/// Requests no more of the reply than its metadata.
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json");

/// The reply to a status: the write was guarded, so everything else is as known.
#[derive(Deserialize)]
struct Written {
    metadata: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: String,
}

/// Writes the status, then publishes its events. A status that was decided on a stale view is refused with 409.
///
/// # Errors
/// [`ExecuteError`].
pub async fn write(
    context: &Arc<Context>,
    kanary: &Arc<KanaryDeployment>,
    update: &StatusUpdate,
) -> Result<(), ExecuteError> {
    if !context.leadership.holds() {
        return Err(ExecuteError::NotLeader);
    }
    let written = apply(context, kanary, &update.status).await;
    let before = kanary.status.as_ref().and_then(|status| status.phase);
    context.metrics.status_written(before, update, outcome(&written));
    if let Some(notice) = written.as_ref().err().and_then(too_large) {
        tell(context, kanary, notice);
    }
    let written = written.map_err(|error| classify("update the status".into(), &error))?;
    let mut known = (**kanary).clone();
    known.metadata.resource_version = Some(written.metadata.resource_version);
    known.status = Some(update.status.clone());
    context.stores.kanaries.put(known);
    // Not `message`: that is the key of the line's own text.
    let (phase, detail) = (update.status.phase.map(tracing::field::debug), update.status.message.as_deref());
    tracing::info!(phase, detail, "status updated");
    if !update.notices.is_empty() {
        // What comes next, such as taking pods out of production, does not wait for events.
        tokio::spawn(publish_all(context.clone(), kanary.clone(), update.clone()).in_current_span());
    }
    Ok(())
}

async fn apply(
    context: &Context,
    kanary: &KanaryDeployment,
    status: &KanaryDeploymentStatus,
) -> Result<Written, kube::Error> {
    let body = StatusPatch {
        api_version: Kind::KanaryDeployment.api_version(),
        kind: Kind::KanaryDeployment.as_str(),
        metadata: Observed { name: kanary.name(), uid: kanary.uid(), resource_version: kanary.version() },
        status,
    };
    let params = PatchParams { force: true, ..execute::params() };
    let request = Request::new(KanaryDeployment::url_path(&(), Some(kanary.namespace())));
    let request = request.patch_subresource("status", kanary.name(), &params, &kube::api::Patch::Apply(&body));
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    request.headers_mut().insert(header::ACCEPT, METADATA_ONLY);
    bounded(context.client.request(request)).await
}

/// A resource that leaves no room for its status cannot report that itself.
fn too_large(error: &kube::Error) -> Option<Notice> {
    let kube::Error::Api(refusal) = error else { return None };
    let is_too_large =
        refusal.code == 413 || ["too large", "larger than max"].iter().any(|words| refusal.message.contains(words));
    let note = format!(
        "the status cannot be written: {}; make spec.template smaller, so that it and the status fit into etcd's limit",
        clip(&refusal.message, MOST / 2)
    );
    is_too_large.then_some(Notice { warning: true, reason: Reason::RequestFailed, note })
}

/// Publishes an event without a status, in the background.
pub fn tell(context: &Arc<Context>, kanary: &Arc<KanaryDeployment>, notice: Notice) {
    let (context, kanary) = (context.clone(), kanary.clone());
    let run = kanary.status.as_ref().and_then(|status| status.run).unwrap_or_default();
    tokio::spawn(async move { publish(&context, &kanary, run, &notice).await }.in_current_span());
}

async fn publish_all(context: Arc<Context>, kanary: Arc<KanaryDeployment>, update: StatusUpdate) {
    for notice in &update.notices {
        publish(&context, &kanary, update.status.run.unwrap_or_default(), notice).await;
    }
}

/// An event that is lost does no harm: the status reports the same.
async fn publish(context: &Context, kanary: &KanaryDeployment, run: i64, notice: &Notice) {
    let event = Event {
        type_: if notice.warning { EventType::Warning } else { EventType::Normal },
        reason: notice.reason.to_string(),
        note: Some(clip(&notice.note, MOST)),
        // The recorder merges events by all but the note, and keeps the first one's: a later run's would be lost.
        action: format!("{}-{}", notice.reason, hash::of_texts([run.to_string().as_str(), &notice.note])),
        secondary: None,
    };
    if let Err(error) = bounded(context.recorder.publish(&event, &kanary.object_ref(&()))).await {
        tracing::warn!(reason = notice.reason.as_str(), %error, "cannot publish an event");
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_resource_that_leaves_no_room_for_its_status_is_told() {
        let refused = |code: u16, message: &str| {
            let status: Status = Status::failure(message, "").with_code(code);
            too_large(&kube::Error::Api(status.boxed()))
        };
        let notice = refused(500, "etcdserver: request is too large").expect("it is told");
        assert!(notice.warning && notice.note.contains("make spec.template smaller"), "{notice:?}");
        assert!(refused(500, "trying to send message larger than max (2100000 vs. 2097152)").is_some());
        assert!(refused(413, "limit is 3145728").is_some());
        assert_eq!(refused(500, "etcdserver: leader changed"), None);
    }
}
