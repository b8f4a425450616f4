//! That Services share the sidecar's listener, whatever their ports are called.

use k8s_openapi::api::core::v1::Service;
use kanary_e2e::{Error, TestNamespace};
use serde_json::json;

use super::{OTHER, uncopied::until_all_is_known, world};
use crate::support::{mesh::*, *};

/// Istio looks at the bytes of a port without a name, and gives it routes of its own.
pub async fn an_unnamed_port_leaves_the_port_to_all(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.put(virtual_service(json!({"name": "ours", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&ns, "ours").await?;
    let unnamed = json!({"spec": {"ports": [{"name": null, "port": 80, "targetPort": 8080}]}});
    ns.patch::<Service>(OTHER, unnamed).await?;
    ns.until_known(OTHER, 80, 1).await?;
    until_all_is_known(&ns).await?;
    let report = ns.calls(WEB)?.count(FEW).run().await;
    assert_production_answers(&report);
    assert_eq!(at(CANARY, &ns.copies(&report).await?), FEW, "the route of a named port is obeyed");
    let report = ns.calls(OTHER)?.count(FEW).run().await;
    assert!(report.answers.iter().all(|answer| answer.status == 200 && is_of(OTHER, &answer.from)), "{report:?}");
    Ok(())
}
