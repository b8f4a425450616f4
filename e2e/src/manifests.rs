//! Files of this repository, and objects from YAML.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery,
};
use serde_json::Value;

use crate::{Context, Error};

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// All documents of a YAML file.
pub fn read(path: &Path) -> Result<Vec<Value>, Error> {
    let text = fs::read_to_string(path).context(|| format!("read {}", path.display()))?;
    parse(&text).context(|| format!("parse {}", path.display()))
}

/// The YAML files of a directory, sorted by name.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir).context(|| format!("read {}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

/// All non-empty documents of a YAML text.
pub fn parse(text: &str) -> Result<Vec<Value>, Error> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context(|| "YAML".into())?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// Creates or updates an object of any kind as the lab's admin.
pub async fn apply(client: &Client, object: &Value) -> Result<DynamicObject, Error> {
    let (api, name) = locate(client, object, "default").await?;
    let what = || format!("apply {}", describe(object));
    api.patch(&name, &PatchParams::apply("lab").force(), &Patch::Apply(object)).await.context(what)
}

/// The API for an object of any kind, and the object's name.
pub async fn locate(client: &Client, object: &Value, namespace: &str) -> Result<(Api<DynamicObject>, String), Error> {
    let meta: DynamicObject = serde_json::from_value(object.clone()).context(|| describe(object))?;
    let types = meta.types.unwrap_or_default();
    let kind = GroupVersionKind::try_from(&types).context(|| describe(object))?;
    let (resource, capabilities) =
        discovery::pinned_kind(client, &kind).await.context(|| format!("find the kind {}", types.kind))?;
    let namespace = meta.metadata.namespace.as_deref().unwrap_or(namespace);
    let api = match capabilities.scope {
        discovery::Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
        discovery::Scope::Cluster => Api::all_with(client.clone(), &resource),
    };
    Ok((api, meta.metadata.name.unwrap_or_default()))
}

/// `Deployment shop/web`, for messages.
pub fn describe(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let name = text("/metadata/name").unwrap_or("(no name)");
    let kind = text("/kind").unwrap_or("(no kind)");
    match text("/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// What can be created: JSON, or YAML with one or more documents.
pub trait Manifest {
    /// The objects.
    fn objects(self) -> Result<Vec<Value>, Error>;
}

impl Manifest for Value {
    fn objects(self) -> Result<Vec<Value>, Error> {
        Ok(vec![self])
    }
}

impl Manifest for &str {
    fn objects(self) -> Result<Vec<Value>, Error> {
        parse(self)
    }
}

impl Manifest for String {
    fn objects(self) -> Result<Vec<Value>, Error> {
        parse(&self)
    }
}

impl Manifest for &Path {
    fn objects(self) -> Result<Vec<Value>, Error> {
        read(self)
    }
}
