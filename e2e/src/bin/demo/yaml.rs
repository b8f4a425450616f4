//! What the demo applies.

/// The base and its Service.
pub const APP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: demo}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: shop:1}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: demo}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
";

/// No pod gets the label for ten seconds.
pub const LABEL_WATCH: &str = "
    validationPeriod: 10s
    items:
    - labelWatch:
        podInvalidationLabels: {alert: errors}";
/// A manual verdict.
pub const MANUAL: &str = "
    items:
    - manual: {}";

/// Pods of a bad image: three of ten requests fail.
pub const BAD: &str = "lab.kanary.k8s.io/errors: 30%";
/// As a canary of a mirror: every fourth copy fails, with 503.
pub const BAD_COPIES: &str = "lab.kanary.k8s.io/errors: 25% 503";

/// The metadata of a pod template whose pods answer so.
pub fn annotated(annotation: &str) -> String {
    let annotations = if annotation.is_empty() { String::new() } else { format!(", annotations: {{{annotation}}}") };
    format!("metadata: {{labels: {{app: web}}{annotations}}}")
}

/// A canary of the base, whose pods answer as an annotation says.
pub fn kanary(name: &str, image: &str, source: &str, validation: &str, annotation: &str) -> String {
    let metadata = annotated(annotation);
    format!(
        "apiVersion: kanary.k8s.io/v1alpha1
kind: KanaryDeployment
metadata: {{name: {name}, namespace: demo}}
spec:
  deploymentName: web
  serviceName: web
  traffic: {{source: {source}}}
  validation:{validation}
  template:
    spec:
      template:
        {metadata}
        spec: {{containers: [{{name: web, image: {image}}}]}}"
    )
}

/// Production's own route: Envoy retries a request to a pod that has just terminated.
pub const ROUTE: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: demo}
spec:
  hosts: [web]
  http:
  - name: all
    route: [{destination: {host: web}}]
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: '5xx,connect-failure'}
";

/// The share of copies that fail. The window fits one scrape a second. Without the `or vector(0)` the query would have
/// no result while nothing fails, and without the `> 0` it would divide by zero while the canary is idle.
pub const PROM_QL: &str = r#"
    validationPeriod: 20s
    maxIntervalPeriod: 2s
    items:
    - name: errors
      promQL:
        query: |
          (sum(rate(istio_requests_total{reporter="destination",
              destination_workload_namespace="{{namespace}}",
              destination_workload="{{canary.name}}",
              response_code=~"5.."}[10s])) or vector(0))
          / (sum(rate(istio_requests_total{reporter="destination",
              destination_workload_namespace="{{namespace}}",
              destination_workload="{{canary.name}}"}[10s])) > 0)
        valueInRange: {min: 0, max: 0.01}
        allPodsQuery: true"#;
