//! `lab run` as a person uses it: with a Prometheus, pods that fail by an annotation, and load on a Service.
//!
//! The program runs on the machine itself, not in the lab of a test binary.

use std::{
    fs, io,
    process::{Command, ExitCode},
};

use libtest_mimic::{Arguments, Trial};

/// What the person types. Nobody names the lab's Prometheus: the controller has its URL from `--prometheus`.
const SCRIPT: &str = r#"
set -e
kubectl apply -f web.yaml
kubectl rollout status deployment/web
lab load web --rate 40 --for 20m > load.txt & load=$!

kubectl apply -f good.yaml
kubectl wait kd/good --for=jsonpath='{.status.phase}'=Succeeded --timeout=120s
kubectl apply -f bad.yaml
kubectl wait kd/bad --for=jsonpath='{.status.phase}'=Failed --timeout=120s
kubectl kanary get
kill -INT $load
wait $load
echo '--- both canaries'; cat load.txt

echo '--- slow'; kubectl annotate pod -l app=web lab.kanary.k8s.io/latency=150ms
lab load web --rate 10 --for 3s
echo '--- failing'; kubectl annotate pod -l app=web lab.kanary.k8s.io/errors='100% 503'
lab load web.default --rate 10 --for=3s
echo '--- mistaken'; kubectl annotate pod -l app=web --overwrite lab.kanary.k8s.io/errors=many
lab load web --rate 10 --for 3s
echo '--- refused'; lab load nobody 2>&1 || echo "exit code $?"
"#;

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:1'}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
";

/// At most a tenth of its responses may be errors.
fn kanary(name: &str, image: &str, annotations: &str) -> String {
    let of = r#"destination_workload_namespace="{{namespace}}",destination_workload="{{canary.name}}""#;
    format!(
        "
apiVersion: kanary.k8s.io/v1alpha1
kind: KanaryDeployment
metadata: {{name: {name}}}
spec:
  deploymentName: web
  serviceName: web
  traffic: {{source: service}}
  validation:
    validationPeriod: 8s
    maxIntervalPeriod: 1s
    items:
    - name: errors
      promQL:
        query: |
          (sum(rate(istio_requests_total{{{of},response_code=~\"5..\"}}[5s])) or vector(0))
          / (sum(rate(istio_requests_total{{{of}}}[5s])) > 0)
        valueInRange: {{min: 0, max: 0.1}}
        allPodsQuery: true
  template:
    spec:
      template:
        metadata: {{labels: {{app: web}}, annotations: {{{annotations}}}}}
        spec: {{containers: [{{name: web, image: {image}}}]}}
"
    )
}

fn main() -> ExitCode {
    let case = Trial::test("a_person_finds_a_bad_canary_with_the_labs_own_prometheus", || Ok(found()?));
    libtest_mimic::run(&Arguments::from_args(), vec![case]).exit_code()
}

fn found() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text);
    write("web.yaml", WEB)?;
    write("good.yaml", &kanary("good", "web:2", ""))?;
    write("bad.yaml", &kanary("bad", "web:3", "lab.kanary.k8s.io/errors: 50%"))?;
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    let output = lab.args(["run", "--prometheus", "--", "sh", "-c", SCRIPT]).current_dir(dir.path()).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let part = |title: &str| {
        let from = out.split_once(&format!("--- {title}\n")).map(|(_, rest)| rest).unwrap_or_default();
        from.split("--- ").next().unwrap_or_default()
    };

    let of_bad = part("both canaries").lines().find(|line| line.trim_start().starts_with("bad-kanary-"));
    assert!(of_bad.is_some_and(|line| line.contains("× 200, ") && line.ends_with("× 500")), "{out}");
    let clean = |line: &&str| line.trim_start().starts_with("good-kanary-") && line.ends_with("× 200");
    assert!(part("both canaries").lines().any(|line| clean(&line)), "an image alone makes nothing fail: {out}");
    assert!(part("both canaries").contains("to its ready pods in turn"), "{out}");

    let slowest = part("slow").rsplit_once("99 % within ").and_then(|(_, rest)| rest.trim().strip_suffix(" ms"));
    assert!(slowest.and_then(|ms| ms.parse::<u64>().ok()).is_some_and(|ms| ms >= 150), "{out}");
    assert!(part("failing").contains("× 503"), "{out}");
    let told = "the annotation lab.kanary.k8s.io/errors is \"many\", which is not of the form `5%` or `5% 503`";
    assert!(part("mistaken").contains(told), "{out}");
    let refused = part("refused");
    assert!(
        refused.contains("error: there is no Service default/nobody") && refused.ends_with("exit code 1\n"),
        "{out}"
    );
    Ok(())
}
