//! A guarded write of a run, repeated if the controller has written meanwhile.

use kube::api::{Patch, PatchParams};
use serde_json::Value;

use super::{
    Error,
    client::{self, Fetched, KIND},
    connection::Connection,
};

/// The controller writes a status every few seconds at most; after more conflicts the reason is another one.
const TRIES: usize = 5;

/// Sends a patch that is guarded by the version it was made for. After a conflict it is made again from what is there now,
/// as long as that requests the same run.
///
/// # Errors
/// Those of the API server and of `patch`; the spec was changed meanwhile.
pub async fn patch(
    connection: &Connection,
    name: &str,
    patch: impl Fn(&Fetched) -> Result<Patch<Value>, Error>,
) -> Result<Fetched, Error> {
    let (api, doing) = (client::api(connection, false), format!("patch {KIND} {}/{name}", connection.namespace));
    let first = client::get(connection, name).await?;
    let mut fetched = first.clone();
    let mut tries = 1;
    loop {
        match api.patch(fetched.name(), &PatchParams::default(), &patch(&fetched)?).await {
            Ok(_) => return Ok(fetched),
            Err(kube::Error::Api(status)) if status.code == 409 && tries < TRIES => tries += 1,
            Err(error) => return Err(connection.failed(&doing, &error)),
        }
        fetched = client::get(connection, name).await?;
        if request(&fetched) != request(&first) {
            let why = "another client changed the spec meanwhile; check it and try again";
            return Err(Error::Failed(format!("{doing}: {why}")));
        }
    }
}

/// The part of the spec that says which run is requested, and the manual verdict on it.
fn request(fetched: &Fetched) -> (Option<&str>, [Option<&Value>; 3]) {
    let spec = ["/spec/template", "/spec/runID", "/spec/validation/manual"];
    (fetched.whole.metadata.uid.as_deref(), spec.map(|path| fetched.whole.data.pointer(path)))
}
