//! Carries out a plan: at most one write an object, each guarded, each bounded in time. It decides nothing.

use std::{fmt::Debug, sync::Arc, time::Duration};

use http::{HeaderValue, header};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, PatchParams, Preconditions, PropagationPolicy, ValidationDirective},
    core::{NamespaceResourceScope, Request},
    runtime::events::{Event, EventType},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Context, routes::Routes, store::Store};
use crate::{
    api::{
        KanaryDeployment, KanaryDeploymentStatus,
        names::{self, MANAGER},
    },
    decision::{Action, Fault, Kind, Notice, Patch, StatusUpdate, Target},
    objects::{Autoscaler, Deployment, DeploymentSpec, HTTPRoute, Object, Pod, Service, VirtualService},
};

/// kube waits for an answer for ever.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a plan was not carried out to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// Something is not as observed: look again.
    #[error("{0} is not as observed")]
    Stale(String),
    /// This process no longer leads.
    #[error("another controller leads")]
    Deposed,
    /// A request failed.
    #[error("{}: {}", .0.action, .0.error)]
    Failed(Fault),
}

/// Waits for an answer, but not for ever.
///
/// # Errors
/// Those of the request; no answer in time is one.
pub async fn bounded<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    within(PATIENCE, request).await
}

/// Waits for an answer for so long.
///
/// # Errors
/// Those of the request; no answer in time is one.
pub async fn within<T>(
    patience: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    let late = |_| kube::Error::Service(format!("no answer within {patience:?}").into());
    tokio::time::timeout(patience, request).await.map_err(late)?
}

/// Makes one write, and takes its result into memory.
///
/// # Errors
/// [`ExecuteError`]; the rest of the plan is void.
pub async fn act(context: &Context, namespace: &str, action: &Action) -> Result<(), ExecuteError> {
    if !context.leadership.holds() {
        return Err(ExecuteError::Deposed);
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
    context.metrics.acted(action, outcome(&result));
    // What fails is said by whoever decides whether to try again.
    result.map_err(|error| stop(action.describe(), &error))?;
    tracing::info!(namespace, action = action.describe());
    Ok(())
}

async fn write<K>(context: &Context, store: &Store<K>, namespace: &str, action: &Action) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Object + Clone + DeserializeOwned,
{
    match action {
        Action::Create { object, .. } | Action::CreateBase { object, .. } => {
            store.put(bounded(context.client.request(post::<K>(namespace, object)?)).await?);
        }
        Action::Patch { target, patch } | Action::Promote { target, patch } => {
            store.put(patched::<K>(context, namespace, target, patch, &params()).await?);
        }
        Action::Delete { target, uid } => delete(context, store, namespace, target, uid).await?,
    }
    Ok(())
}

/// A create that refuses fields which the API server does not know: a typing error must not be dropped in silence.
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

async fn patched<K>(
    context: &Context,
    namespace: &str,
    target: &Target,
    patch: &Patch,
    params: &PatchParams,
) -> Result<K, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
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

/// A patch refuses unknown fields as a create does: what the canary may not have, the base would lose in silence.
fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.into()),
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    }
}

/// A Deployment goes in the foreground: once it is gone, so is what hangs on it. The others have nothing hanging on them
/// that outlives them for long.
async fn delete<K>(
    context: &Context,
    store: &Store<K>,
    namespace: &str,
    target: &Target,
    uid: &str,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Object + Clone + DeserializeOwned,
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
        Ok(evaluation) if evaluation["kind"] == "Status" => drop(known.and_then(|object| store.forget(&*object))),
        Ok(evaluation) => drop(store.put(serde_json::from_value(evaluation).map_err(kube::Error::SerdeError)?)),
        Err(kube::Error::Api(status)) if status.code == 404 => drop(known.and_then(|object| store.forget(&*object))),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Reads the canary and its pods into memory, past the watches.
///
/// # Errors
/// [`ExecuteError`].
pub async fn read_canary(context: &Context, kanary: &KanaryDeployment) -> Result<(), ExecuteError> {
    let (namespace, name) = (kanary.namespace(), names::canary(kanary));
    let canary = ListParams::default().fields(&format!("metadata.name={name}"));
    let pods = ListParams::default().labels(&format!("{}={}", names::CANARY_LABEL, kanary.name()));
    let stores = &context.stores;
    let known = stores.deployments.get(namespace, &name).into_iter().collect();
    refresh(context, &stores.deployments, namespace, known, &canary).await?;
    refresh(context, &stores.pods, namespace, stores.pods.of_canary(namespace, kanary.name()), &pods).await
}

/// Takes a list into memory, and forgets what was known before and is not in it.
async fn refresh<K>(
    context: &Context,
    store: &Store<K>,
    namespace: &str,
    known: Vec<Arc<K>>,
    params: &ListParams,
) -> Result<(), ExecuteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Object + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), namespace);
    let list = bounded(api.list(params)).await.map_err(|error| stop(format!("list {}", K::plural(&())), &error))?;
    let is_there = |known: &Arc<K>| list.items.iter().any(|object| object.uid() == known.uid());
    known.into_iter().filter(|known| !is_there(known)).for_each(|gone| drop(store.forget(&*gone)));
    list.items.into_iter().for_each(|object| drop(store.put(object)));
    Ok(())
}

/// Reads the routes of a namespace into memory, past the watch, which may be late.
///
/// # Errors
/// [`ExecuteError`].
pub async fn read_routes(context: &Context, namespace: &str) -> Result<(), ExecuteError> {
    let stores = &context.stores;
    read::<VirtualService>(context, &stores.virtual_services, namespace).await?;
    read::<HTTPRoute>(context, &stores.http_routes, namespace).await
}

async fn read<K>(context: &Context, routes: &Routes<K>, namespace: &str) -> Result<(), ExecuteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Object + Clone + Debug + DeserializeOwned,
{
    if routes.known().unavailable().is_some() {
        return Ok(());
    }
    let api: Api<K> = Api::namespaced(context.client.clone(), namespace);
    match bounded(api.list(&ListParams::default())).await {
        Ok(list) => list.items.into_iter().for_each(|route| drop(routes.store.put(route))),
        // The kind went away a moment ago, and its objects with it.
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(stop(format!("list {}", K::plural(&())), &error)),
    }
    Ok(())
}

/// Asks the API server what the promotion would make of the base.
///
/// # Errors
/// [`ExecuteError`]; an outright refusal is an answer, not an error.
pub async fn rehearse(
    context: &Context,
    namespace: &str,
    target: &Target,
    patch: &Patch,
) -> Result<Result<DeploymentSpec, String>, ExecuteError> {
    let params = PatchParams { dry_run: true, ..params() };
    match patched::<Deployment>(context, namespace, target, patch, &params).await {
        Ok(base) => Ok(Ok(base.spec)),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
            Ok(Err(in_short(&status.message).to_owned()))
        }
        Err(error) => Err(stop(format!("rehearse the promotion of Deployment {}", target.name), &error)),
    }
}

/// Of a patched object with unknown fields the API server quotes all before it names them.
fn in_short(message: &str) -> &str {
    message.rfind("strict decoding error: ").map_or(message, |at| &message[at..])
}

/// A status that is applied: the whole of it, to the resource as it was observed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Telling<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Whose<'a>,
    status: &'a KanaryDeploymentStatus,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Whose<'a> {
    name: &'a str,
    uid: &'a str,
    resource_version: &'a str,
}

/// Asks for no more of the reply than its metadata.
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json");

/// Of the reply to a status: it was guarded, so all else is as known.
#[derive(Deserialize)]
struct Written {
    metadata: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: String,
}

/// Persists the status, then publishes its events. A status that was decided on a stale view is refused with 409.
///
/// # Errors
/// [`ExecuteError`].
pub async fn tell(
    context: &Arc<Context>,
    kanary: &Arc<KanaryDeployment>,
    tell: &StatusUpdate,
) -> Result<(), ExecuteError> {
    if !context.leadership.holds() {
        return Err(ExecuteError::Deposed);
    }
    let body = Telling {
        api_version: Kind::KanaryDeployment.api_version(),
        kind: Kind::KanaryDeployment.as_str(),
        metadata: Whose { name: kanary.name(), uid: kanary.uid(), resource_version: kanary.version() },
        status: &tell.status,
    };
    let params = PatchParams { force: true, ..params() };
    let request = Request::new(KanaryDeployment::url_path(&(), Some(kanary.namespace())));
    let request = request.patch_subresource("status", kanary.name(), &params, &kube::api::Patch::Apply(&body));
    let written = match request {
        Ok(mut request) => {
            request.headers_mut().insert(header::ACCEPT, METADATA_ONLY);
            bounded(context.client.request::<Written>(request)).await
        }
        Err(error) => Err(kube::Error::BuildRequest(error)),
    };
    context.metrics.told(kanary.status.as_ref().and_then(|status| status.phase), tell, outcome(&written));
    let written = written.map_err(|error| stop("write the status".into(), &error))?;
    let mut known = (**kanary).clone();
    known.metadata.resource_version = Some(written.metadata.resource_version);
    known.status = Some(tell.status.clone());
    context.stores.kanaries.put(known);
    let phase = tell.status.phase;
    tracing::info!(namespace = kanary.namespace(), name = kanary.name(), ?phase, message = tell.status.message, "told");
    if !tell.notices.is_empty() {
        // What comes next, such as taking pods out of production, does not wait for words.
        let (context, kanary, notices) = (context.clone(), kanary.clone(), tell.notices.clone());
        tokio::spawn(async move {
            for notice in notices {
                publish(&context, &kanary, &notice).await;
            }
        });
    }
    Ok(())
}

/// An event that is lost is a pity, no more: the status tells the same.
async fn publish(context: &Context, kanary: &KanaryDeployment, notice: &Notice) {
    let event = Event {
        type_: if notice.warning { EventType::Warning } else { EventType::Normal },
        reason: notice.reason.clone(),
        note: Some(shortened(&notice.note)),
        action: notice.reason.clone(),
        secondary: None,
    };
    if let Err(error) = bounded(context.recorder.publish(&event, &kanary.object_ref(&()))).await {
        tracing::warn!(name = kanary.name(), reason = notice.reason, %error, "an event was lost");
    }
}

/// The API server takes no note of more than 1024 bytes.
fn shortened(note: &str) -> String {
    let end = note.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= 1000).last();
    end.map_or_else(String::new, |end| note[..end].to_owned())
}

/// In one word, for a metric's label.
fn outcome<T>(result: &Result<T, kube::Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(kube::Error::Api(status)) if status.code == 409 => "conflict",
        Err(kube::Error::Api(_)) => "refused",
        Err(_) => "lost",
    }
}

/// Something is not as observed: changed, gone, or there.
fn stop(action: String, error: &kube::Error) -> ExecuteError {
    // 409 alone does not say it: a webhook that denies may choose that code, too.
    let is_stale = |status: &kube::core::Status| {
        status.code == 404 || matches!(status.reason.as_str(), "Conflict" | "AlreadyExists")
    };
    match error {
        kube::Error::Api(status) if is_stale(status) && !is_final(status) => ExecuteError::Stale(action),
        kube::Error::Api(status) => ExecuteError::Failed(Fault { action, error: in_short(&status.message).to_owned() }),
        other => ExecuteError::Failed(Fault { action, error: other.to_string() }),
    }
}

/// A namespace that is gone or on its way out answers 404 or 403 to a create: looking again does not help.
fn is_final(status: &kube::core::Status) -> bool {
    status.code == 404 && status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
}
