//! KanaryDeployments in a scene: read, changed and awaited.

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    runtime::watcher,
};
use serde_json::Value;

use crate::{Context, Error, Scene, kanary_api::kanaries, wait::Seen};

impl Scene {
    /// The namespace's KanaryDeployments.
    pub fn kanaries(&self) -> Api<DynamicObject> {
        kanaries(&self.client(), self.namespace())
    }

    /// Reads a KanaryDeployment.
    pub async fn kd(&self, name: &str) -> Result<Value, Error> {
        let kd =
            self.kanaries().get(name).await.context(|| format!("get {}", self.object("KanaryDeployment", name)))?;
        Ok(serde_json::to_value(kd)?)
    }

    /// A JSON merge patch of a KanaryDeployment.
    pub async fn patch_kd(&self, name: &str, patch: Value) -> Result<Value, Error> {
        let patched = self.kanaries().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        Ok(serde_json::to_value(patched.context(|| format!("patch {}", self.object("KanaryDeployment", name)))?)?)
    }

    /// Has a KanaryDeployment deleted.
    pub async fn delete_kd(&self, name: &str) -> Result<(), Error> {
        let deleted = self.kanaries().delete(name, &DeleteParams::default()).await;
        deleted.map(drop).context(|| format!("delete {}", self.object("KanaryDeployment", name)))
    }

    /// Waits until `met` holds for a KanaryDeployment, as JSON.
    pub async fn until_kd(&self, name: &str, awaited: &str, met: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        let met = |kd: &DynamicObject| serde_json::to_value(kd).is_ok_and(|kd| met(&kd));
        let kd = self.until_one(self.kanaries(), "KanaryDeployment", name, awaited, met).await?;
        Ok(serde_json::to_value(kd)?)
    }

    /// Waits until a KanaryDeployment is in a phase.
    pub async fn kd_phase(&self, name: &str, phase: &str) -> Result<Value, Error> {
        self.until_kd(name, &format!("phase {phase}"), |kd| kd["status"]["phase"] == phase).await
    }

    /// Waits until a KanaryDeployment does not exist.
    pub async fn until_kd_gone(&self, name: &str) -> Result<(), Error> {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let of = self.object("KanaryDeployment", name);
        self.wait(self.kanaries(), config, &of, "is gone", Seen::is_empty).await.map(drop)
    }
}
