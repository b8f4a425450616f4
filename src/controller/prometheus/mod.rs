//! Sends queries to Prometheus in the background, within limits of time, size and address.
//!
//! Not here: which query is due (`lifecycle::due_queries`), and what its result means (`crate::promql`).

mod client;
mod http;
mod secrets;

pub use client::PrometheusClient;
