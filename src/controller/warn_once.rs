//! Errors of the watches and the lease in words that say what to do, each said once until it changes.

use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Mutex, PoisonError},
};

/// What was said last, by resource.
#[derive(Default)]
pub struct WarnOnce(Mutex<HashMap<String, String>>);

impl WarnOnce {
    /// Warns, unless the same was said of this or, where it concerns them all, of another resource.
    pub fn warn(&self, resource: &str, error: &impl Display) {
        let advice = advice(resource, &error.to_string());
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = warnings.values().all(|other| *other != advice);
        warnings.insert(resource.to_owned(), advice.clone());
        if is_news {
            tracing::warn!("{advice}; trying again");
        }
    }

    /// Says that the trouble is over, if there was any and it was the last of its kind.
    pub fn resolve(&self, resource: &str) {
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(advice) = warnings.remove(resource).filter(|advice| warnings.values().all(|other| other != advice))
        {
            tracing::info!(was = advice, "works again");
        }
    }
}

fn advice(resource: &str, error: &str) -> String {
    let has = |needle: &str| error.contains(needle);
    if resource == "kanarydeployments" && (has("404") || has("NotFound") || has("not find the requested resource")) {
        return "the CustomResourceDefinition kanarydeployments.kanary.k8s.io is not installed: kubectl apply -k deploy".into();
    }
    if has("Forbidden") || has("forbidden") {
        return format!(
            "the controller's ServiceAccount may not use {resource}: compare its roles with deploy/rbac.yaml"
        );
    }
    if has("Unauthorized") {
        return "the API server does not accept the controller's credentials: check its ServiceAccount token or kubeconfig".into();
    }
    if has("(Connect)") || has("Connection refused") || has("dns error") || has("tcp connect") {
        return "cannot reach the API server: check the kubeconfig and the network".into();
    }
    format!("{resource}: {error}")
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn says_what_to_do() {
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
