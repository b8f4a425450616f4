//! Objects of kinds that the lab has no Rust types for, such as those of a mesh, as JSON.

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    runtime::watcher,
};
use serde_json::{Value, json};

use crate::{
    Context, Error, TestNamespace,
    manifests::{self, Manifest},
    wait::Objects,
};

/// Which object.
#[derive(Debug, Clone, Copy)]
pub struct ObjectRef<'a> {
    /// E.g. `networking.istio.io/v1`.
    pub api_version: &'a str,
    /// E.g. `VirtualService`.
    pub kind: &'a str,
    /// Its name; its namespace is the test's.
    pub name: &'a str,
}

/// One of Istio's VirtualServices.
pub fn virtual_service(name: &str) -> ObjectRef<'_> {
    ObjectRef { api_version: "networking.istio.io/v1", kind: "VirtualService", name }
}

/// One of the Gateway API's HTTPRoutes.
pub fn http_route(name: &str) -> ObjectRef<'_> {
    ObjectRef { api_version: "gateway.networking.k8s.io/v1", kind: "HTTPRoute", name }
}

impl TestNamespace {
    /// Creates or changes objects as a GitOps tool would for their owner: with a forced server-side apply.
    pub async fn put(&self, manifest: impl Manifest) -> Result<(), Error> {
        for object in manifest.objects()? {
            let (api, name) = manifests::locate(&self.client(), &object, self.name()).await?;
            let what = || format!("apply {} in {}", manifests::describe(&object), self.name());
            api.patch(&name, &PatchParams::apply("owner").force(), &Patch::Apply(&object)).await.context(what)?;
        }
        Ok(())
    }

    /// Reads one.
    pub async fn read(&self, of: ObjectRef<'_>) -> Result<Value, Error> {
        let object = self.api_of(of).await?.get(of.name).await;
        Ok(serde_json::to_value(object.context(|| format!("get {}", self.object(of.kind, of.name)))?)?)
    }

    /// A JSON merge patch.
    pub async fn change(&self, of: ObjectRef<'_>, patch: Value) -> Result<Value, Error> {
        let changed = self.api_of(of).await?.patch(of.name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        Ok(serde_json::to_value(changed.context(|| format!("patch {}", self.object(of.kind, of.name)))?)?)
    }

    /// Deletes one; [`Self::until_dynamic_gone`] waits for it.
    pub async fn remove(&self, of: ObjectRef<'_>) -> Result<(), Error> {
        let deleted = self.api_of(of).await?.delete(of.name, &DeleteParams::default()).await;
        deleted.map(drop).context(|| format!("delete {}", self.object(of.kind, of.name)))
    }

    /// Waits until one exists and `met` holds for it.
    pub async fn until_dynamic(
        &self,
        of: ObjectRef<'_>,
        awaited: &str,
        met: impl Fn(&Value) -> bool,
    ) -> Result<Value, Error> {
        let met = |object: &DynamicObject| serde_json::to_value(object).is_ok_and(|object| met(&object));
        let object = self.until_one(self.api_of(of).await?, of.kind, of.name, awaited, met).await?;
        Ok(serde_json::to_value(object)?)
    }

    /// Waits until one does not exist.
    pub async fn until_dynamic_gone(&self, of: ObjectRef<'_>) -> Result<(), Error> {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", of.name));
        let object = self.object(of.kind, of.name);
        self.wait(self.api_of(of).await?, config, &object, "is gone", Objects::is_empty).await.map(drop)
    }

    async fn api_of(&self, of: ObjectRef<'_>) -> Result<Api<DynamicObject>, Error> {
        let object = json!({"apiVersion": of.api_version, "kind": of.kind, "metadata": {"name": of.name}});
        Ok(manifests::locate(&self.client(), &object, self.name()).await?.0)
    }
}
