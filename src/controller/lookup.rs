//! What must be read from the API server before a plan can be made: past the watches, into the stores.

use std::{fmt::Debug, sync::Arc};

use kube::{
    Api, Resource,
    api::{ListParams, PatchParams},
    core::NamespaceResourceScope,
};

use super::{
    clock,
    context::Context,
    execute::{self, ExecuteError, classify, strict_error},
    observe,
    request::bounded,
    store::Store,
    stores::RouteStore,
};
use crate::{
    api::{
        KanaryDeployment, names,
        text::{MOST, clip},
    },
    decision::{Kind, Lookup, Patch, Target},
    lifecycle::step::Done,
    objects::{Deployment, DeploymentSpec, HTTPRoute, Object, RawObject, Readable, Reading, VirtualService},
};

/// Makes a lookup.
///
/// # Errors
/// [`ExecuteError`].
pub async fn perform(context: &Context, kanary: &KanaryDeployment, lookup: &Lookup) -> Result<Done, ExecuteError> {
    match lookup {
        Lookup::DryRunPromotion { target, patch, .. } => {
            let after = dry_run(context, kanary.namespace(), target, patch).await?;
            Ok(Done::DryRun(clock::now(), after))
        }
        Lookup::ReadCanary => {
            read_canary(context, kanary).await?;
            let (canary, pods) = observe::canary(context, kanary);
            Ok(Done::Canary(canary, pods))
        }
        Lookup::ReadAbsent(targets) => are_absent(context, kanary.namespace(), targets).await.map(Done::Absent),
        Lookup::ReadRoutes => {
            read_routes(context, kanary.namespace()).await?;
            Ok(Done::Routes(observe::all_routes(context)))
        }
    }
}

/// What the API server would make of the base. A refusal is an answer, not an error.
async fn dry_run(
    context: &Context,
    namespace: &str,
    target: &Target,
    patch: &Patch,
) -> Result<Result<DeploymentSpec, String>, ExecuteError> {
    let params = PatchParams { dry_run: true, ..execute::params() };
    match execute::patched::<Deployment>(context, namespace, target, patch, &params).await {
        Ok(base) => {
            let Reading { object, unreadable } = base.read(target.kind.as_str(), None);
            Ok(unreadable.map_or(Ok(object.spec), |why| Err(why.to_string())))
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
            Ok(Err(clip(strict_error(&status.message), MOST)))
        }
        Err(error) => Err(classify(format!("dry-run the promotion of Deployment {}", target.name), &error)),
    }
}

/// Reads the canary and its pods.
async fn read_canary(context: &Context, kanary: &KanaryDeployment) -> Result<(), ExecuteError> {
    let (namespace, name) = (kanary.namespace(), names::canary(kanary));
    let canary = ListParams::default().fields(&format!("metadata.name={name}"));
    let pods = ListParams::default().labels(&format!("{}={}", names::CANARY_LABEL, kanary.name()));
    let stores = &context.stores;
    let known = stores.deployments.get(namespace, &name).into_iter().collect();
    refresh(context, &stores.deployments, namespace, known, &canary).await?;
    let known = stores.pods.of_canary(namespace, kanary.name());
    refresh(context, &stores.pods, namespace, known, &pods).await.map(drop)
}

/// Reads objects by name. What is there gets into the stores.
async fn are_absent(context: &Context, namespace: &str, targets: &[Target]) -> Result<bool, ExecuteError> {
    let stores = &context.stores;
    let mut found = 0;
    for Target { kind, name } in targets {
        found += match kind {
            Kind::Deployment => read_one(context, &stores.deployments, namespace, name).await?,
            Kind::Service => read_one(context, &stores.services, namespace, name).await?,
            Kind::HorizontalPodAutoscaler => read_one(context, &stores.autoscalers, namespace, name).await?,
            Kind::VirtualService => read_one(context, &stores.virtual_services.store, namespace, name).await?,
            // None of these is ever created.
            Kind::Pod | Kind::HTTPRoute | Kind::KanaryDeployment => 0,
        };
    }
    Ok(found == 0)
}

async fn read_one<K>(context: &Context, store: &Store<K>, namespace: &str, name: &str) -> Result<usize, ExecuteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Readable + Debug,
{
    let params = ListParams::default().fields(&format!("metadata.name={name}"));
    refresh(context, store, namespace, Vec::new(), &params).await
}

/// Stores a list, and removes what was known before and is not in it. How many are in it?
async fn refresh<K>(
    context: &Context,
    store: &Store<K>,
    namespace: &str,
    known: Vec<Arc<K>>,
    params: &ListParams,
) -> Result<usize, ExecuteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Readable + Debug,
{
    let api: Api<RawObject<K>> = Api::namespaced(context.client.clone(), namespace);
    let list = bounded(api.list(params)).await.map_err(|error| classify(format!("list {}", K::plural(&())), &error))?;
    let is_there = |known: &Arc<K>| list.items.iter().any(|raw| raw.metadata().uid.as_deref() == Some(known.uid()));
    known.into_iter().filter(|known| !is_there(known)).for_each(|gone| drop(store.forget(&*gone)));
    list.items.iter().for_each(|raw| drop(execute::keep(store, raw)));
    Ok(list.items.len())
}

/// Reads the routes of a namespace.
async fn read_routes(context: &Context, namespace: &str) -> Result<(), ExecuteError> {
    let stores = &context.stores;
    read::<VirtualService>(context, &stores.virtual_services, namespace).await?;
    read::<HTTPRoute>(context, &stores.http_routes, namespace).await
}

async fn read<K>(context: &Context, routes: &RouteStore<K>, namespace: &str) -> Result<(), ExecuteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Readable + Debug,
{
    if routes.known().unavailable().is_some() {
        return Ok(());
    }
    let api: Api<RawObject<K>> = Api::namespaced(context.client.clone(), namespace);
    match bounded(api.list(&ListParams::default())).await {
        Ok(list) => list.items.iter().for_each(|raw| drop(execute::keep(&routes.store, raw))),
        // The kind went away a moment ago, and its objects with it.
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(classify(format!("list {}", K::plural(&())), &error)),
    }
    Ok(())
}
