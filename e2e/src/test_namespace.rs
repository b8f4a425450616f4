//! What a test gets: a Kubernetes namespace of its own, and how to wait for what should happen in it.

use std::{
    env,
    fmt::Debug,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Namespace, Pod},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    runtime::watcher,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    Context, Error, Lab, diagnostics,
    manifests::{self, Manifest},
    wait::{self, Objects, Unmet},
};

/// Generous, because a busy machine must not fail a test.
const PATIENCE: Duration = Duration::from_secs(90);
/// The annotation that selects what kwok simulates for a pod, e.g. `crash-loop`: one of the files in `stages/`.
pub const PLAY: &str = "lab.kanary.k8s.io/play";

/// What a namespaced type needs to be read, awaited and printed.
pub trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + DeserializeOwned
    + Serialize
    + Debug
    + Send
    + 'static
{
}

impl<K> Kind for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Serialize
        + Debug
        + Send
        + 'static
{
}

/// The cluster that the tests of a binary share.
pub struct Cluster {
    /// A client that may do everything.
    pub client: Client,
    /// The lab, unless the tests run against another cluster.
    pub lab: Option<Lab>,
    /// The shared controller's log.
    pub log: Option<PathBuf>,
}

impl Cluster {
    /// The lab, for what only it offers.
    pub fn lab(&self) -> Result<&Lab, Error> {
        self.lab.as_ref().ok_or_else(|| Error::wrong("this cluster is not a lab: mark the test `lab_only`"))
    }
}

/// One test's namespace.
#[derive(Clone)]
pub struct TestNamespace {
    cluster: Arc<Cluster>,
    name: String,
    pub(crate) patience: Duration,
}

impl TestNamespace {
    /// Creates a namespace that is named after the test.
    pub async fn open(cluster: Arc<Cluster>, test: &str) -> Result<Self, Error> {
        let slug: String = test.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
        let prefix = format!("{}-", slug.to_lowercase().trim_matches('-'));
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"generateName": prefix}}))?;
        let what = || format!("create Namespace {prefix}…");
        let name = namespaces.create(&PostParams::default(), &namespace).await.context(what)?.name_any();
        Ok(Self { cluster, name, patience: PATIENCE })
    }

    /// Deletes the namespace, unless the test failed and KANARY_E2E_KEEP is set.
    pub async fn close(self, failed: bool) -> Result<(), Error> {
        if failed && env::var_os("KANARY_E2E_KEEP").is_some() {
            return Ok(());
        }
        let namespaces: Api<Namespace> = Api::all(self.client());
        let what = || format!("delete Namespace {}", self.name);
        match namespaces.delete(&self.name, &DeleteParams::default()).await {
            // The test deleted it.
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            deleted => deleted.context(what).map(drop),
        }
    }

    /// The same namespace, with another timeout for what is awaited.
    pub fn patience(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The name of the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.cluster.client.clone()
    }

    /// The lab, for tests that are marked `lab_only`.
    pub fn lab(&self) -> Result<&Lab, Error> {
        self.cluster.lab()
    }

    /// The namespace's objects of a kind.
    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client(), &self.name)
    }

    /// Creates objects of any kind, from JSON or from YAML with one or more documents.
    pub async fn apply(&self, manifest: impl Manifest) -> Result<Vec<DynamicObject>, Error> {
        let mut created = Vec::new();
        for object in manifest.objects()? {
            let (api, _) = manifests::locate(&self.cluster.client, &object, &self.name).await?;
            let typed = serde_json::from_value(object.clone()).context(|| manifests::describe(&object))?;
            let what = || format!("create {} in {}", manifests::describe(&object), self.name);
            created.push(api.create(&PostParams::default(), &typed).await.context(what)?);
        }
        Ok(created)
    }

    /// Reads an object.
    pub async fn get<K: Kind>(&self, name: &str) -> Result<K, Error> {
        self.api::<K>().get(name).await.context(|| self.doing::<K>("get", name))
    }

    /// Reads an object that may not exist.
    pub async fn find<K: Kind>(&self, name: &str) -> Result<Option<K>, Error> {
        self.api::<K>().get_opt(name).await.context(|| self.doing::<K>("get", name))
    }

    /// Reads all objects with the labels, e.g. `app=web`.
    pub async fn list<K: Kind>(&self, labels: &str) -> Result<Vec<K>, Error> {
        let list = self.api::<K>().list(&ListParams::default().labels(labels)).await;
        Ok(list.context(|| self.doing::<K>("list", labels))?.items)
    }

    /// A JSON merge patch.
    pub async fn patch<K: Kind>(&self, name: &str, patch: Value) -> Result<K, Error> {
        let patched = self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.context(|| self.doing::<K>("patch", name))
    }

    /// Deletes an object; [`Self::until_gone`] waits for it.
    pub async fn delete<K: Kind>(&self, name: &str) -> Result<(), Error> {
        let deleted = self.api::<K>().delete(name, &DeleteParams::default()).await;
        deleted.map(drop).context(|| self.doing::<K>("delete", name))
    }

    /// Waits until the object exists and `met` holds for it.
    pub async fn until<K: Kind>(&self, name: &str, awaited: &str, met: impl Fn(&K) -> bool) -> Result<K, Error> {
        self.until_one(self.api::<K>(), &K::kind(&()), name, awaited, met).await
    }

    /// Waits until the object does not exist.
    pub async fn until_gone<K: Kind>(&self, name: &str) -> Result<(), Error> {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let of = self.object(&K::kind(&()), name);
        self.wait(self.api::<K>(), config, &of, "is gone", Objects::is_empty).await.map(drop)
    }

    /// Waits until `met` holds for the objects, by name, with the labels, e.g. the slices of a Service.
    pub async fn until_all<K: Kind>(
        &self,
        labels: &str,
        awaited: &str,
        met: impl Fn(&Objects<K>) -> bool,
    ) -> Result<Objects<K>, Error> {
        let of = format!("{} in {} with labels {labels:?}", K::plural(&()), self.name);
        let config = watcher::Config::default().labels(labels);
        self.wait(self.api::<K>(), config, &of, awaited, met).await
    }

    /// Changes what kwok simulates for a live pod; `None` = it is ready.
    pub async fn play(&self, pod: &str, play: Option<&str>) -> Result<Pod, Error> {
        self.patch(pod, json!({"metadata": {"annotations": {PLAY: play}}})).await
    }

    /// What happened here so far, for messages.
    pub async fn diagnostics(&self) -> String {
        diagnostics::of(&self.cluster.client, &self.name, self.log()).await
    }

    /// The shared controller's log.
    pub fn log(&self) -> Option<&Path> {
        self.cluster.log.as_deref()
    }

    pub(crate) async fn until_one<K>(
        &self,
        api: Api<K>,
        kind: &str,
        name: &str,
        awaited: &str,
        met: impl Fn(&K) -> bool,
    ) -> Result<K, Error>
    where
        K: Resource + Clone + DeserializeOwned + Serialize + Debug + Send + 'static,
    {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let of = self.object(kind, name);
        let mut seen = self.wait(api, config, &of, awaited, |seen| seen.get(name).is_some_and(&met)).await?;
        seen.remove(name).ok_or_else(|| Error::wrong(format!("{of} is gone")))
    }

    pub(crate) async fn wait<K>(
        &self,
        api: Api<K>,
        config: watcher::Config,
        of: &str,
        awaited: &str,
        met: impl Fn(&Objects<K>) -> bool,
    ) -> Result<Objects<K>, Error>
    where
        K: Resource + Clone + DeserializeOwned + Serialize + Debug + Send + 'static,
    {
        match wait::until(api, config, self.patience, met).await {
            Ok(seen) => Ok(seen),
            Err(seen) => Err(Error::Unmet(Box::new(Unmet {
                awaited: awaited.into(),
                of: of.into(),
                patience: self.patience,
                seen: wait::yaml(&seen),
                diagnostics: self.diagnostics().await,
            }))),
        }
    }

    pub(crate) fn object(&self, kind: &str, name: &str) -> String {
        format!("{kind} {}/{name}", self.name)
    }

    fn doing<K: Kind>(&self, verb: &str, name: &str) -> String {
        format!("{verb} {}", self.object(&K::kind(&()), name))
    }
}
