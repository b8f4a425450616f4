//! The Lease as it is read and written: whatever else it contains, it can be read.
//!
//! Not here: what to do about it (`leader`).

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Client, Resource,
    api::{GetParams, PostParams},
    core::Request,
};
use serde_json::Value;

use crate::api::names::{LEASE, MANAGER};

/// The Lease of a namespace.
pub struct LeaseApi {
    client: Client,
    url: String,
}

impl LeaseApi {
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { client, url: Lease::url_path(&(), Some(namespace)) }
    }

    /// None, if there is none.
    pub async fn get(&self) -> Result<Option<Lease>, kube::Error> {
        let request = Request::new(&self.url).get(LEASE, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        match self.client.request(request).await {
            Ok(object) => readable(object).map(Some),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn create(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        let body = serde_json::to_vec(lease).map_err(kube::Error::SerdeError)?;
        let request = Request::new(&self.url).create(&params(), body).map_err(kube::Error::BuildRequest)?;
        readable(self.client.request(request).await?)
    }

    /// Writes it, if it is still as it was read.
    pub async fn replace(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        let body = serde_json::to_vec(lease).map_err(kube::Error::SerdeError)?;
        let request = Request::new(&self.url).replace(LEASE, &params(), body).map_err(kube::Error::BuildRequest)?;
        readable(self.client.request(request).await?)
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}

/// What is not as expected is left out: a time out of range must not keep everybody from leading.
fn readable(mut object: Value) -> Result<Lease, kube::Error> {
    keep_if(&mut object, "/metadata", "managedFields", |_| false);
    for field in ["creationTimestamp", "deletionTimestamp"] {
        keep_if(&mut object, "/metadata", field, is_time);
    }
    for field in ["acquireTime", "renewTime"] {
        keep_if(&mut object, "/spec", field, is_time);
    }
    for field in ["leaseDurationSeconds", "leaseTransitions"] {
        keep_if(&mut object, "/spec", field, |value| value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()));
    }
    for field in ["holderIdentity", "preferredHolder", "strategy"] {
        keep_if(&mut object, "/spec", field, Value::is_string);
    }
    serde_json::from_value(object).map_err(kube::Error::SerdeError)
}

fn keep_if(object: &mut Value, parent: &str, field: &str, is_readable: impl Fn(&Value) -> bool) {
    if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.retain(|key, value| key != field || is_readable(value));
    }
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lease_is_read_whatever_it_contains() {
        let odd = json!({
            "metadata": {"name": "kanary", "resourceVersion": "7", "annotations": {"a": "b"},
                "creationTimestamp": "99999-01-01T00:00:00Z",
                "managedFields": [{"manager": "tenant", "time": "9999-12-31T23:59:59Z"}]},
            "spec": {"holderIdentity": "a", "renewTime": "10000-01-01T00:00:00.000000Z", "acquireTime": 7,
                "leaseDurationSeconds": 3_000_000_000_u64, "leaseTransitions": 3},
        });
        let lease = readable(odd).expect("it is read");
        let spec = lease.spec.expect("it has one");
        assert_eq!((spec.renew_time, spec.acquire_time, spec.lease_duration_seconds), (None, None, None));
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("a"), Some(3)));
        assert_eq!(lease.metadata.resource_version.as_deref(), Some("7"), "a write is guarded by it");
        assert!(lease.metadata.annotations.is_some_and(|all| all.contains_key("a")), "absences are kept");
    }
}
