//! The checked-in CRD is the one that the types generate, and small enough for `kubectl apply`.

#![allow(clippy::expect_used)]

use kanary::api::crd;

const CHECKED_IN: &str = include_str!("../crds/kanarydeployments.yaml");

#[test]
fn the_checked_in_crd_is_fresh() {
    let generated = crd::yaml().expect("the types serialize");
    similar_asserts::assert_eq!(
        CHECKED_IN,
        generated,
        "run: cargo run --bin kanary -- crd > crds/kanarydeployments.yaml"
    );
}

#[test]
fn the_crd_is_small() {
    assert!(CHECKED_IN.len() < 48_000, "{} bytes", CHECKED_IN.len());
}

#[test]
fn the_template_is_preserved_where_it_is_not_read() {
    assert!(CHECKED_IN.contains("x-kubernetes-preserve-unknown-fields: true"));
    assert!(!CHECKED_IN.contains("livenessProbe"), "what the controller does not read is no business of the schema");
}
