//! What is applied in the play.

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

/// Nobody says anything bad for ten seconds.
pub const LABEL_WATCH: &str = "
    validationPeriod: 10s
    items:
    - labelWatch:
        podInvalidationLabels: {alert: errors}";
/// A person says a word.
pub const MANUAL: &str = "
    items:
    - manual: {}";

/// A canary of the base.
pub fn kanary(name: &str, image: &str, source: &str, validation: &str) -> String {
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
        metadata: {{labels: {{app: web}}}}
        spec: {{containers: [{{name: web, image: {image}}}]}}"
    )
}

/// Routes of production's own: Envoy tries again where a pod has just gone.
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

/// Prometheus says which share of the copies fails. The window fits one scrape a second. Without the `or vector(0)` no
/// failure would be no answer, and without the `> 0` an idle canary would be a division by zero.
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
