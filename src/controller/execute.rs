//! Carries out the actions of a plan: at most one write per object, each guarded, each bounded in time. It decides nothing.

use http::header;
use kube::{
    Resource,
    api::{DeleteParams, PatchParams, Preconditions, PropagationPolicy, ValidationDirective},
    core::{NamespaceResourceScope, Request},
};
use serde_json::{Value, json};

use super::{context::Context, request::bounded, store::Store};
use crate::{
    api::{
        KanaryDeployment,
        names::MANAGER,
        text::{MOST, clip},
    },
    decision::{Action, Fault, Kind, Patch, Target, owned},
    lifecycle::step::Done,
    objects::{Autoscaler, HTTPRoute, Pod, RawObject, Readable, Reading, Service, VirtualService},
};

/// Why a plan was not carried out to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// An object is not as observed: observe again.
    #[error("{0} is not as observed")]
    Stale(String),
    /// This process is not the leader any more.
    #[error("another controller is the leader")]
    NotLeader,
    /// A request failed.
    #[error("{}: {}", .0.action, .0.error)]
    Failed(Fault),
}

/// Makes one write, and stores its result.
///
/// # Errors
/// [`ExecuteError`]; the rest of the plan is void.
pub async fn apply(context: &Context, namespace: &str, action: &Action) -> Result<Done, ExecuteError> {
    if !context.leadership.holds() {
        return Err(ExecuteError::NotLeader);
    }
    let stores = &context.stores;
    let result = match action.target().kind {
        Kind::Deployment => write(context, &stores.deployments, namespace, action).await,
        Kind::Service => write::<Service>(context, &stores.services, namespace, action).await,
        Kind::HorizontalPodAutoscaler => write::<Autoscaler>(context, &stores.autoscalers, namespace, action).await,
        Kind::Pod => write::<Pod>(context, &stores.pods, namespace, action).await,
        Kind::VirtualService => {
            write::<VirtualService>(context, &stores.virtual_services.store, namespace, action).await
        }
        Kind::HTTPRoute => write::<HTTPRoute>(context, &stores.http_routes.store, namespace, action).await,
        Kind::KanaryDeployment => write::<KanaryDeployment>(context, &stores.kanaries, namespace, action).await,
    };
    context.metrics.wrote(action, outcome(&result));
    // A failure is logged where it is decided whether to try again.
    let stored = result.map_err(|error| classify(action.describe(), &error))?;
    if action.target().kind == Kind::KanaryDeployment {
        context.finalizers.notify_one();
    }
    tracing::info!(action = action.describe(), "applied");
    let stored = action.rewrites().zip(stored);
    Ok(stored.map_or(Done::Written, |(kind, fingerprint)| Done::Stored(kind, fingerprint)))
}

/// Returns the fingerprint of what the API server stored, of the kinds that have one.
async fn write<K>(
    context: &Context,
    store: &Store<K>,
    namespace: &str,
    action: &Action,
) -> Result<Option<String>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Readable,
{
    match action {
        Action::Create { object, .. } | Action::CreateBase { object, .. } => {
            Ok(keep(store, &bounded(context.client.request(post::<K>(namespace, object)?)).await?))
        }
        Action::Patch { target, patch } | Action::Promote { target, patch } => {
            Ok(keep(store, &patched::<K>(context, namespace, target, patch, &params()).await?))
        }
        Action::Delete { target, uid } => delete(context, store, namespace, target, uid).await.map(|()| None),
    }
}

/// Stores a reply, and returns its fingerprint. What cannot be read is left to the watch, which reports it.
pub fn keep<K>(store: &Store<K>, reply: &RawObject<K>) -> Option<String>
where
    K: Resource<DynamicType = ()> + Readable,
{
    let Reading { object, unreadable } = reply.read(&K::kind(&()), None);
    if unreadable.is_some() {
        return None;
    }
    let fingerprint = owned::fingerprint(&object);
    store.put(object);
    fingerprint
}

/// A create that refuses fields which the API server does not know: a typing error must not be dropped silently.
fn post<K>(namespace: &str, object: &Value) -> Result<http::Request<Vec<u8>>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let url = K::url_path(&(), Some(namespace));
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    http::Request::post(format!("{url}?fieldManager={MANAGER}&fieldValidation=Strict"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(kube::Error::HttpError)
}

pub async fn patched<K>(
    context: &Context,
    namespace: &str,
    target: &Target,
    patch: &Patch,
    params: &PatchParams,
) -> Result<RawObject<K>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let request = Request::new(K::url_path(&(), Some(namespace)));
    let request = match patch {
        Patch::Merge(merge) => request.patch(&target.name, params, &kube::api::Patch::Merge(merge)),
        Patch::Json(operations) => {
            let operations = serde_json::from_value(json!(operations)).map_err(kube::Error::SerdeError)?;
            request.patch(&target.name, params, &kube::api::Patch::<()>::Json(operations))
        }
    };
    bounded(context.client.request(request.map_err(kube::Error::BuildRequest)?)).await
}

/// A patch refuses unknown fields as a create does: what the canary may not have, the base would lose silently.
pub fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.into()),
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    }
}

/// A Deployment is deleted in the foreground: once it is gone, so are its ReplicaSets and pods. The other kinds own nothing
/// that outlives them for long.
async fn delete<K>(
    context: &Context,
    store: &Store<K>,
    namespace: &str,
    target: &Target,
    uid: &str,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Readable,
{
    let params = DeleteParams {
        propagation_policy: (target.kind == Kind::Deployment).then_some(PropagationPolicy::Foreground),
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    let request = Request::new(K::url_path(&(), Some(namespace))).delete(&target.name, &params);
    let request = request.map_err(kube::Error::BuildRequest)?;
    let known = store.get(namespace, &target.name).filter(|object| object.uid() == uid);
    match bounded(context.client.request::<Value>(request)).await {
        // The reply is the object on its way out, or a Status once it is gone.
        Ok(reply) if reply["kind"] == "Status" => drop(known.and_then(|object| store.forget(&*object))),
        Ok(reply) => drop(keep(store, &serde_json::from_value(reply).map_err(kube::Error::SerdeError)?)),
        Err(kube::Error::Api(status)) if status.code == 404 => drop(known.and_then(|object| store.forget(&*object))),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The part of an error that names unknown fields: the API server quotes the whole object before it.
pub fn strict_error(message: &str) -> &str {
    message.rfind("strict decoding error: ").map_or(message, |at| &message[at..])
}

/// The outcome of a write, as a metric's label.
pub fn outcome<T>(result: &Result<T, kube::Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(kube::Error::Api(status)) if status.code == 409 => "conflict",
        Err(kube::Error::Api(_)) => "refused",
        Err(_) => "lost",
    }
}

/// Is an object not as observed (changed, gone, or there already), or did the request fail?
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of kube, and grows")]
pub fn classify(action: String, error: &kube::Error) -> ExecuteError {
    // 409 alone does not mean a conflict: a webhook that denies may choose that code, too.
    let is_stale = |status: &kube::core::Status| {
        status.code == 404 || matches!(status.reason.as_str(), "Conflict" | "AlreadyExists")
    };
    match error {
        kube::Error::Api(status) if is_stale(status) && !is_final(status) => ExecuteError::Stale(action),
        kube::Error::Api(status) => {
            ExecuteError::Failed(Fault { action, error: clip(strict_error(&status.message), MOST) })
        }
        other => ExecuteError::Failed(Fault { action, error: clip(&other.to_string(), MOST) }),
    }
}

/// A create in a namespace that is gone is answered with 404: observing again does not help.
fn is_final(status: &kube::core::Status) -> bool {
    status.code == 404 && status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
}
