//! Manifests: read from files, admitted as the API server would admit them, and cleared of defaults.

pub mod defaults;
pub mod files;
pub mod pull_policy;
pub mod rules;
mod scalar;
mod schema;
pub mod typed;
pub mod yaml;
