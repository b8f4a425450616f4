//! KanaryDeployments in a namespace: read, changed and awaited.

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    runtime::watcher,
};
use serde_json::Value;

use crate::{Context, Error, TestNamespace, kanary_api::kanaries, wait::Objects};

impl TestNamespace {
    /// The namespace's KanaryDeployments.
    pub fn kanaries(&self) -> Api<DynamicObject> {
        kanaries(&self.client(), self.name())
    }

    /// Reads a KanaryDeployment.
    pub async fn kanary(&self, name: &str) -> Result<Value, Error> {
        let kanary =
            self.kanaries().get(name).await.context(|| format!("get {}", self.object("KanaryDeployment", name)))?;
        Ok(serde_json::to_value(kanary)?)
    }

    /// A JSON merge patch of a KanaryDeployment.
    pub async fn patch_kanary(&self, name: &str, patch: Value) -> Result<Value, Error> {
        let patched = self.kanaries().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        Ok(serde_json::to_value(patched.context(|| format!("patch {}", self.object("KanaryDeployment", name)))?)?)
    }

    /// Deletes a KanaryDeployment; [`Self::until_kanary_gone`] waits for it.
    pub async fn delete_kanary(&self, name: &str) -> Result<(), Error> {
        let deleted = self.kanaries().delete(name, &DeleteParams::default()).await;
        deleted.map(drop).context(|| format!("delete {}", self.object("KanaryDeployment", name)))
    }

    /// Waits until `met` holds for a KanaryDeployment, as JSON.
    pub async fn until_kanary(&self, name: &str, awaited: &str, met: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        let met = |kanary: &DynamicObject| serde_json::to_value(kanary).is_ok_and(|kanary| met(&kanary));
        let kanary = self.until_one(self.kanaries(), "KanaryDeployment", name, awaited, met).await?;
        Ok(serde_json::to_value(kanary)?)
    }

    /// Waits until a KanaryDeployment is in a phase.
    pub async fn until_phase(&self, name: &str, phase: &str) -> Result<Value, Error> {
        self.until_kanary(name, &format!("phase {phase}"), |kanary| kanary["status"]["phase"] == phase).await
    }

    /// Waits until a KanaryDeployment does not exist.
    pub async fn until_kanary_gone(&self, name: &str) -> Result<(), Error> {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let of = self.object("KanaryDeployment", name);
        self.wait(self.kanaries(), config, &of, "is gone", Objects::is_empty).await.map(drop)
    }
}
