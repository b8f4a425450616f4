//! A simulated API server: JSON objects, optimistic concurrency, watches.
//!
//! It knows nothing of canaries. What it does to an object on the way in is `admission`'s business.

use std::{cell::OnceCell, collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use kanary::{
    api::KanaryDeployment,
    decision::Patch,
    objects::{Autoscaler, Deployment, EndpointSlice, Object, Pod, Service, VirtualService},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{admission::Admission, patch};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Kanary,
    Deployment,
    Service,
    Autoscaler,
    Pod,
    Slice,
    /// VirtualServices.
    Route,
}

pub const KINDS: [Kind; 7] =
    [Kind::Kanary, Kind::Deployment, Kind::Service, Kind::Autoscaler, Kind::Pod, Kind::Slice, Kind::Route];

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actor {
    Person,
    /// Kubernetes' own controllers and kubelets.
    Machinery,
    /// Kanary, while it leads.
    Leader,
    /// A Kanary whose lease is over, and which has not noticed.
    Deposed,
}

/// Why a request fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    pub code: u16,
    pub why: String,
}

pub fn refuse<T>(code: u16, why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { code, why: why.into() })
}

/// What a watch delivers, as the controller keeps it: deserialized and pruned.
#[derive(Clone)]
pub enum Sight {
    Kanary(Arc<KanaryDeployment>),
    Deployment(Arc<Deployment>),
    Service(Arc<Service>),
    Autoscaler(Arc<Autoscaler>),
    Pod(Arc<Pod>),
    Slice(Arc<EndpointSlice>),
    Route(Arc<VirtualService>),
}

impl Sight {
    pub fn of(kind: Kind, object: &Value) -> Self {
        match kind {
            Kind::Kanary => Self::Kanary(read(object)),
            Kind::Deployment => Self::Deployment(read(object)),
            Kind::Service => Self::Service(read(object)),
            Kind::Autoscaler => Self::Autoscaler(read(object)),
            Kind::Pod => Self::Pod(read(object)),
            Kind::Slice => Self::Slice(read(object)),
            Kind::Route => Self::Route(read(object)),
        }
    }
}

fn read<K: Object + DeserializeOwned>(object: &Value) -> Arc<K> {
    let mut seen = K::deserialize(object).unwrap_or_else(|why| panic!("{why} in {object}"));
    seen.prune();
    Arc::new(seen)
}

/// One line of a watch.
pub struct Event {
    pub name: String,
    pub uid: String,
    object: Option<Arc<Value>>,
    sight: OnceCell<Sight>,
}

impl Event {
    /// The object after it; none if it is gone.
    pub fn sight(&self, kind: Kind) -> Option<&Sight> {
        let object = self.object.as_ref()?;
        Some(self.sight.get_or_init(|| Sight::of(kind, object)))
    }
}

/// One write, for the checker.
pub struct Change {
    pub actor: Actor,
    pub kind: Kind,
    pub name: String,
    pub before: Option<Arc<Value>>,
    pub after: Option<Arc<Value>>,
    pub version: u64,
}

#[derive(Default)]
pub struct Server {
    pub now: Timestamp,
    pub admission: Admission,
    /// What was written since the checker last looked.
    pub changes: Vec<Change>,
    objects: [BTreeMap<String, Arc<Value>>; 7],
    log: [Vec<Event>; 7],
    version: u64,
    uids: u64,
}

impl Server {
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Arc<Value>> {
        self.objects[kind as usize].get(name)
    }

    pub fn list(&self, kind: Kind) -> impl Iterator<Item = (&String, &Arc<Value>)> {
        self.objects[kind as usize].iter()
    }

    pub fn names(&self, kind: Kind) -> Vec<String> {
        self.objects[kind as usize].keys().cloned().collect()
    }

    pub fn events(&self, kind: Kind) -> &[Event] {
        &self.log[kind as usize]
    }

    /// Grows with each write.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn create(&mut self, actor: Actor, kind: Kind, mut object: Value) -> Result<u64, Refused> {
        let name = object["metadata"]["name"].as_str().expect("it has a name").to_owned();
        if self.get(kind, &name).is_some() {
            return refuse(409, format!("AlreadyExists: {name}"));
        }
        self.admission.admit(kind, None, &mut object)?;
        self.uids += 1;
        let meta = &mut object["metadata"];
        meta["uid"] = format!("uid-{}", self.uids).into();
        meta["namespace"] = "shop".into();
        meta["creationTimestamp"] = self.second();
        meta["generation"] = 1.into();
        Ok(self.store(actor, kind, &name, Some(object)))
    }

    /// A patch that the server refuses if the resourceVersion in it is not the present one.
    pub fn patch(&mut self, actor: Actor, kind: Kind, name: &str, change: &Patch) -> Result<u64, Refused> {
        let patched = self.patched(kind, name, change)?;
        self.put(actor, kind, name, patched)
    }

    /// What the patch would make of it.
    pub fn dry_run(&self, kind: Kind, name: &str, change: &Patch) -> Result<Value, Refused> {
        let mut patched = self.patched(kind, name, change)?;
        self.admission.admit(kind, self.get(kind, name).map(AsRef::as_ref), &mut patched)?;
        Ok(patched)
    }

    fn patched(&self, kind: Kind, name: &str, change: &Patch) -> Result<Value, Refused> {
        let Some(before) = self.get(kind, name) else { return refuse(404, format!("NotFound: {name}")) };
        let mut after = Value::clone(before);
        patch::apply(&mut after, change).or_else(|why| refuse(422, why))?;
        if after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"] {
            return refuse(409, format!("Conflict: {name} has been modified"));
        }
        Ok(after)
    }

    /// Somebody who reads, changes and writes at once.
    pub fn edit(
        &mut self,
        actor: Actor,
        kind: Kind,
        name: &str,
        edit: impl FnOnce(&mut Value),
    ) -> Result<u64, Refused> {
        let Some(before) = self.get(kind, name) else { return refuse(404, format!("NotFound: {name}")) };
        let mut after = Value::clone(before);
        edit(&mut after);
        self.put(actor, kind, name, after)
    }

    /// The status subresource: nothing else is written, and no generation counted.
    pub fn put_status(
        &mut self,
        actor: Actor,
        kind: Kind,
        name: &str,
        status: Value,
        version: Option<&str>,
    ) -> Result<u64, Refused> {
        let Some(before) = self.get(kind, name) else { return refuse(404, format!("NotFound: {name}")) };
        let present = before["metadata"]["resourceVersion"].as_str();
        if version.is_some() && version != present {
            return refuse(409, format!("Conflict: status of {name}"));
        }
        let mut after = Value::clone(before);
        after["status"] = status;
        Ok(if after == **before { self.version_of(kind, name) } else { self.store(actor, kind, name, Some(after)) })
    }

    /// Deletes at once, or marks it for the garbage collector: Deployments in the foreground, pods with grace.
    pub fn delete(
        &mut self,
        actor: Actor,
        kind: Kind,
        name: &str,
        uid: Option<&str>,
        foreground: bool,
    ) -> Result<u64, Refused> {
        let Some(before) = self.get(kind, name) else { return refuse(404, format!("NotFound: {name}")) };
        if uid.is_some() && uid != before["metadata"]["uid"].as_str() {
            return refuse(409, format!("Conflict: {name} has another uid"));
        }
        if before["metadata"].get("deletionTimestamp").is_some() {
            return Ok(self.version_of(kind, name));
        }
        let mut finalizers = before["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        if finalizers.is_empty() && !foreground && kind != Kind::Pod {
            return Ok(self.store(actor, kind, name, None));
        }
        let mut after = Value::clone(before);
        after["metadata"]["deletionTimestamp"] = self.second();
        if foreground {
            finalizers.push("foregroundDeletion".into());
        }
        after["metadata"]["finalizers"] = finalizers.into();
        Ok(self.store(actor, kind, name, Some(after)))
    }

    /// The last finalizer, or the last second of grace, is over.
    pub fn remove(&mut self, kind: Kind, name: &str) {
        self.store(Actor::Machinery, kind, name, None);
    }

    /// Kubernetes counts whole seconds.
    fn second(&self) -> Value {
        self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
    }

    fn version_of(&self, kind: Kind, name: &str) -> u64 {
        let version = self.get(kind, name).and_then(|object| object["metadata"]["resourceVersion"].as_str());
        version.and_then(|version| version.parse().ok()).unwrap_or_default()
    }

    fn put(&mut self, actor: Actor, kind: Kind, name: &str, mut after: Value) -> Result<u64, Refused> {
        let before = self.get(kind, name).cloned().expect("it was just read");
        self.admission.admit(kind, Some(&before), &mut after)?;
        if after == *before {
            return Ok(self.version_of(kind, name));
        }
        let last_finalizer_went = after["metadata"].get("deletionTimestamp").is_some()
            && kind == Kind::Kanary
            && after["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        if last_finalizer_went {
            return Ok(self.store(actor, kind, name, None));
        }
        if after["spec"] != before["spec"] {
            after["metadata"]["generation"] = (before["metadata"]["generation"].as_i64().unwrap_or(1) + 1).into();
        }
        Ok(self.store(actor, kind, name, Some(after)))
    }

    fn store(&mut self, actor: Actor, kind: Kind, name: &str, after: Option<Value>) -> u64 {
        self.version += 1;
        let version = self.version;
        let after = after.map(|mut object| {
            object["metadata"]["resourceVersion"] = version.to_string().into();
            Arc::new(object)
        });
        let objects = &mut self.objects[kind as usize];
        let before = match &after {
            Some(object) => objects.insert(name.to_owned(), object.clone()),
            None => objects.remove(name),
        };
        let uid = after.as_ref().or(before.as_ref()).and_then(|object| object["metadata"]["uid"].as_str());
        let uid = uid.unwrap_or_default().to_owned();
        let event = Event { name: name.to_owned(), uid, object: after.clone(), sight: OnceCell::new() };
        self.log[kind as usize].push(event);
        self.changes.push(Change { actor, kind, name: name.to_owned(), before, after, version });
        version
    }
}
