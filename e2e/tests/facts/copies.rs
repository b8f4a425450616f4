//! How many copies there are, where they arrive, and that production does not notice them.

use std::time::Duration;

use kanary_e2e::{Error, TestNamespace, backend::behaviour::Behaviour};
use serde_json::json;

use super::{OTHER, until_accepted, world};
use crate::support::{mesh::*, *};

/// Longer than any response that is not delayed.
const HANG: Duration = Duration::from_secs(5);

pub async fn a_share_of_requests_is_copied_and_production_answers_all(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    for percent in [0, 10, 50, 100] {
        let name = format!("copy-{percent}");
        ns.put(virtual_service(json!({"name": name, "mirrors": [mirror(CANARY, percent)]}))).await?;
        until_named(&ns, &name).await?;
        let copies = copied(&ns, ns.calls(WEB)?.count(MANY)).await?;
        assert_share(copies.len(), MANY, percent);
        assert_eq!(at(CANARY, &copies), copies.len(), "copies go nowhere else");
        // Istio has Envoy leave out its suffix `-shadow`: a copy has the same Host as the request.
        assert!(copies.iter().all(|copy| copy.host == ns.host(WEB)));
    }
    Ok(())
}

pub async fn mirrors_are_drawn_each_for_itself(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.put(virtual_service(json!({"name": "two", "mirrors": [mirror(CANARY, 30), mirror(OTHER, 60)]}))).await?;
    until_named(&ns, "two").await?;
    let copies = copied(&ns, ns.calls(WEB)?.count(MANY)).await?;
    assert_share(at(CANARY, &copies), MANY, 30);
    assert_share(at(OTHER, &copies), MANY, 60);
    assert_eq!(at(CANARY, &copies) + at(OTHER, &copies), copies.len());
    Ok(())
}

/// Istio's webhook rejects the two together; without it both apply, and the canary gets everything twice.
pub async fn mirror_and_mirrors_both_copy(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let both = json!({"name": "both", "mirror": {"host": CANARY}, "mirrors": [mirror(CANARY, 100)]});
    ns.put(virtual_service(both)).await?;
    until_named(&ns, "both").await?;
    let copies = copied(&ns, ns.calls(WEB)?.count(FEW)).await?;
    assert_eq!(at(CANARY, &copies), 2 * FEW);
    Ok(())
}

/// A mirror belongs to the route, not to a destination: requests that went elsewhere are copied as well.
pub async fn a_split_route_is_copied_whole(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let route = json!([
        {"destination": {"host": WEB}, "weight": 50},
        {"destination": {"host": OTHER}, "weight": 50},
    ]);
    ns.put(virtual_service(json!({"name": "split", "route": route, "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&ns, "split").await?;
    let report = ns.calls(WEB)?.count(MANY).run().await;
    let elsewhere = report.answers.iter().filter(|answer| is_of(OTHER, &answer.from)).count();
    assert_share(elsewhere, MANY, 50);
    assert_eq!(at(CANARY, &ns.copies(&report).await?), MANY);
    Ok(())
}

pub async fn an_http_route_copies_inside_the_mesh(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.put(http_route(the_service(), request_mirror(30))).await?;
    until_accepted(&ns).await?;
    let canary = ns.host(CANARY);
    ns.until_route(WEB, "copies", |route| route.copies_to(&canary) == 30.0).await?;
    let copies = copied(&ns, ns.calls(WEB)?.count(MANY)).await?;
    assert_share(copies.len(), MANY, 30);
    assert_eq!(at(CANARY, &copies), copies.len());
    Ok(())
}

/// The copies' own sidecar counts them: as requests of the Service that selects the canary, whatever their Host says.
pub async fn a_copy_counts_at_the_workload_that_got_it(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.put(virtual_service(json!({"name": "all", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&ns, "all").await?;
    copied(&ns, ns.calls(WEB)?.count(FEW)).await?;
    let metrics = ns.lab()?.backend()?.metrics();
    let of = |label: &str, value: &str| format!("{label}={value:?}");
    let counted = metrics.lines().filter(|line| {
        line.starts_with("istio_requests_total{")
            && line.contains(&of("destination_workload_namespace", ns.name()))
            && line.contains(&of("destination_workload", CANARY))
            && line.contains(&of("destination_service_name", CANARY))
    });
    let counts: Vec<&str> = counted.filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(counts, [FEW.to_string()]);
    Ok(())
}

/// Production must not notice a mirrored canary that hangs and fails. One after the other, requests that waited for
/// their copies would take minutes.
pub async fn a_canary_that_hangs_and_fails_is_not_noticed(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.set_behaviour(&format!("app={CANARY}"), Behaviour { latency: HANG, ..Behaviour::failing(1.0) })?;
    ns.put(virtual_service(json!({"name": "ill", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&ns, "ill").await?;
    let report = ns.calls(WEB)?.count(FEW).at_once(1).run().await;
    assert_production_answers(&report);
    assert!(report.elapsed < HANG * 20, "{FEW} requests took {:?}", report.elapsed);
    let copies = ns.copies(&report).await?;
    assert!(copies.len() == FEW && copies.iter().all(|copy| copy.status == 500), "{copies:?}");
    Ok(())
}

/// A retry is another arrival at production, but not another copy. By default Istio retries no response, not even 503.
pub async fn a_retry_is_not_copied_again(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.set_behaviour("app=web", Behaviour { code: 503, ..Behaviour::failing(1.0) })?;
    let retries = json!({"retries": {"attempts": 2, "retryOn": "5xx"}});
    for (name, retries, tries) in [("once", json!({}), 1), ("thrice", retries, 3)] {
        let route = json!({"name": name, "mirrors": [mirror(CANARY, 100)]});
        ns.put(virtual_service(merged(route, retries))).await?;
        until_named(&ns, name).await?;
        let report = ns.calls(WEB)?.count(FEW).run().await;
        assert_eq!(report.statuses(), [(503, FEW)].into());
        let more = ns.copies(&report).await?;
        assert_eq!((at(WEB, &more), at(CANARY, &more)), (FEW * (tries - 1), FEW), "{name}");
    }
    Ok(())
}
