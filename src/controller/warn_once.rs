//! Warnings about watches and the Lease that say how to fix them, each logged once until it changes.

use std::{collections::HashMap, fmt::Display};

use parking_lot::Mutex;

/// The last warning of each resource.
#[derive(Default)]
pub struct WarnOnce(Mutex<HashMap<String, String>>);

impl WarnOnce {
    /// Warns, unless the same was logged of this resource or, where it concerns them all, of another.
    pub fn warn(&self, resource: &str, error: &impl Display) {
        let advice = advice(resource, &error.to_string());
        let mut warnings = self.0.lock();
        let is_news = warnings.values().all(|other| *other != advice);
        warnings.insert(resource.to_owned(), advice.clone());
        if is_news {
            tracing::warn!("{advice}; retrying");
        }
    }

    /// Logs that the problem is solved, if there was one and no other resource has the same.
    pub fn resolve(&self, resource: &str) {
        let mut warnings = self.0.lock();
        if let Some(advice) = warnings.remove(resource).filter(|advice| warnings.values().all(|other| other != advice))
        {
            tracing::info!(resolved = advice, "recovered");
        }
    }
}

fn advice(resource: &str, error: &str) -> String {
    let has = |needle: &str| error.contains(needle);
    if resource == "kanarydeployments" && (has("404") || has("NotFound") || has("not find the requested resource")) {
        return "CustomResourceDefinition kanarydeployments.kanary.k8s.io is not installed; run kubectl apply -k deploy".into();
    }
    if has("Forbidden") || has("forbidden") {
        return format!(
            "the controller's ServiceAccount may not access {resource}; compare its roles with deploy/rbac.yaml"
        );
    }
    if has("Unauthorized") {
        return "the API server rejected the controller's credentials; check its ServiceAccount token or kubeconfig"
            .into();
    }
    if has("(Connect)") || has("Connection refused") || has("dns error") || has("tcp connect") {
        return "cannot reach the API server; check the kubeconfig and the network".into();
    }
    format!("{resource}: {error}")
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn each_warning_names_the_fix() {
        let cases = [
            ("kanarydeployments", "ApiError: 404 page not found (NotFound)", "kubectl apply -k deploy"),
            ("pods", "pods is forbidden: User \"x\" cannot list (Forbidden)", "deploy/rbac.yaml"),
            (
                "pods",
                "failed to perform initial object list: ServiceError: client error (Connect)",
                "cannot reach the API server",
            ),
            ("leases", "Unauthorized", "credentials"),
            ("pods", "something else", "pods: something else"),
        ];
        for (resource, error, cure) in cases {
            assert!(advice(resource, error).contains(cure), "{error}");
        }
    }
}
