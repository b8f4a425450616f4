//! A write that is about a run as it was seen, though the controller writes as well.

use kube::api::{Patch, PatchParams};
use serde_json::Value;

use super::{
    Error,
    cluster::{Connection, said},
    kanaries::{self, Found, KIND},
};

/// The controller writes a status every few seconds at most; whoever is refused more often has another reason.
const TRIES: usize = 5;

/// Sends a patch that is guarded by the version it was made for. If somebody wrote in between it is made again, of what is
/// there now, as long as that asks for the same run.
///
/// # Errors
/// Those of the API server and of `patch`; what was read is not what is asked for any more.
pub async fn patch(
    connection: &Connection,
    name: &str,
    patch: impl Fn(&Found) -> Result<Patch<Value>, Error>,
) -> Result<Found, Error> {
    let (api, doing) = (kanaries::api(connection, false), format!("patch {KIND} {}/{name}", connection.namespace));
    let first = kanaries::get(connection, name).await?;
    let mut found = first.clone();
    let mut tries = 1;
    loop {
        match api.patch(found.name(), &PatchParams::default(), &patch(&found)?).await {
            Ok(_) => return Ok(found),
            Err(kube::Error::Api(status)) if status.code == 409 && tries < TRIES => tries += 1,
            Err(error) => return Err(said(&doing, &error)),
        }
        found = kanaries::get(connection, name).await?;
        if asked(&found) != asked(&first) {
            let why = "somebody else changed what it asks for in this very moment; look at it, and try again";
            return Err(Error::Wrong(format!("{doing}: {why}")));
        }
    }
}

/// What says which run this is, and what people said of it.
fn asked(found: &Found) -> (Option<&str>, [Option<&Value>; 3]) {
    let spec = ["/spec/template", "/spec/runID", "/spec/validation/manual"];
    (found.whole.metadata.uid.as_deref(), spec.map(|path| found.whole.data.pointer(path)))
}
