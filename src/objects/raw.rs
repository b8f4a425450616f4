//! Objects as the API server sends them: read only as far as needed, and one that cannot be read is one that cannot be read.
//!
//! # Guarantee
//! Whatever JSON an object is, a list or an event that contains it is decoded; only the object itself may be [`Unreadable`].

use std::{borrow::Cow, marker::PhantomData};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    Readable, Unreadable,
    lenient::{Lenient, expected_map},
    metadata::RawMetadata,
};

/// An object of which only the metadata is decoded.
#[derive(Clone, Debug)]
pub struct RawObject<K> {
    fields: Fields,
    kind: PhantomData<K>,
}

/// What became of an object that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<K> {
    /// The object; if it cannot be read, what is known of it: its metadata, as a rule.
    pub object: K,
    /// Why it cannot be read.
    pub unreadable: Option<Unreadable>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    metadata: Metadata,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
    endpoints: Option<Box<RawValue>>,
}
expected_map!(Fields);

#[derive(Clone, Debug, Default)]
struct Metadata(RawMetadata);
expected_map!(RawMetadata);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Lenient::deserialize(deserializer).map(|Lenient(metadata)| Self(metadata.unwrap_or_default()))
    }
}

impl<'de, K> Deserialize<'de> for RawObject<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Lenient(fields) = Lenient::deserialize(deserializer)?;
        Ok(Self { fields: fields.unwrap_or_default(), kind: PhantomData })
    }
}

impl<K: Resource> Resource for RawObject<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.fields.metadata.0.rest
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.fields.metadata.0.rest
    }
}

/// A field, and what is wrong with it.
type Fault = (String, String);

impl<K: Readable> RawObject<K> {
    /// Name, namespace, labels and versions.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        &self.fields.metadata.0.rest
    }

    /// Reads the object. A spec of a generation that is `known` is not decoded again.
    #[must_use]
    pub fn read(&self, kind: &str, known: Option<&K>) -> Reading<K> {
        let known = known.filter(|known| has_same_spec(known.meta(), self.metadata()));
        let status = self.status();
        if let Ok(status) = &status
            && let Some(object) = known.and_then(|known| known.renewed(self.metadata().clone(), status.clone()))
        {
            return Reading { object, unreadable: None };
        }
        let spec = self.spec();
        let fault = self.nameless().or(status.as_ref().err().cloned()).or(spec.as_ref().err().cloned());
        let metadata = if K::HAS_WRITERS { self.fields.metadata.0.with_writers() } else { self.metadata().clone() };
        let object = K::assemble(metadata, spec.unwrap_or_default(), status.unwrap_or_default());
        let unreadable =
            fault.map(|(field, error)| Unreadable::new(kind, object.namespace(), object.name(), (&field, &error)));
        Reading { object, unreadable }
    }

    fn nameless(&self) -> Option<Fault> {
        self.metadata().name.is_none().then(|| ("metadata.name".into(), "there is none".into()))
    }

    fn spec(&self) -> Result<K::Spec, Fault> {
        let field = K::SPEC;
        let raw = if field == "spec" { &self.fields.spec } else { &self.fields.endpoints };
        match raw.as_deref() {
            None if !K::IS_OURS => Ok(K::Spec::default()),
            raw => parse(field, raw.map_or("null", RawValue::get)),
        }
    }

    fn status(&self) -> Result<K::Status, Fault> {
        let status = self.fields.status.as_deref().filter(|_| K::HAS_STATUS);
        status.map_or_else(|| Ok(K::Status::default()), |status| parse("status", status.get()))
    }
}

/// The field is looked for only if there is a mistake, because that takes longer.
fn parse<T: DeserializeOwned>(field: &str, json: &str) -> Result<T, Fault> {
    serde_json::from_str(json).map_err(|error| {
        let found = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(json));
        let path = found.err().map(|error| error.path().to_string()).unwrap_or_default();
        let field = match path.as_str() {
            "" | "." => field.to_owned(),
            path if path.starts_with('[') => format!("{field}{path}"),
            path => format!("{field}.{path}"),
        };
        let error = error.to_string();
        let what = error.rsplit_once(" at line ").map_or(error.as_str(), |(what, _)| what);
        (field, what.to_owned())
    })
}

fn has_same_spec(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    one.generation.is_some() && one.generation == other.generation && one.uid == other.uid
}
