//! The options of `generate`, and the `spec` that they make.

use std::collections::BTreeMap;

use clap::ValueEnum;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::queries::{self, Quantile};
use crate::{
    api::{Provider, Source, duration},
    cli::Error,
};

/// The properties of the `KanaryDeployment`.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Name of the KanaryDeployment. Default: that of the Deployment.
    #[arg(long)]
    pub name: Option<String>,
    /// Production Service.
    #[arg(long)]
    pub service: Option<String>,
    /// How canary pods are scaled: a fixed number, or a HorizontalPodAutoscaler.
    #[arg(long, value_enum, default_value_t = ScaleMode::Static)]
    pub scale: ScaleMode,
    /// Number of canary pods; with --scale hpa, the maximum.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    pub replicas: Option<i32>,
    /// Source of the canary's traffic.
    #[arg(long, value_enum, default_value_t = Source::None)]
    pub traffic: Source,
    /// With --traffic mirror: percentage of requests to mirror.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(i32).range(0..=100))]
    pub mirror_percentage: Option<i32>,
    /// With --traffic mirror: whose routes mirror the requests.
    #[arg(long, value_enum)]
    pub mirror_provider: Option<Provider>,
    /// How long the canary is evaluated, e.g. 15m or 1h30m.
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub validation_period: Option<SignedDuration>,
    /// Labels that invalidate a canary pod, e.g. alert=high-cpu.
    #[arg(long, value_name = "LABELS", value_parser = labels)]
    pub validation_labelwatch_pod: Option<Labels>,
    /// Labels that invalidate the canary Deployment.
    #[arg(long, value_name = "LABELS", value_parser = labels)]
    pub validation_labelwatch_dep: Option<Labels>,
    /// Limit for a percentile of Istio's request duration in milliseconds, e.g. 'P99<310'.
    #[arg(long, value_name = "BOUND")]
    pub validation_promql_istio_quantile: Option<Quantile>,
    /// Minimum share of requests without a server error, as Istio counts them, e.g. 0.95.
    #[arg(long, value_name = "SHARE", value_parser = queries::share)]
    pub validation_promql_istio_success: Option<f64>,
    /// Prometheus URL for promQL items.
    #[arg(long, value_name = "URL", default_value = "http://prometheus.istio-system:9090")]
    pub prometheus_url: String,
    /// Evaluate the canary, but do not update the Deployment (noUpdate).
    #[arg(long)]
    pub dry_run: bool,
}

/// `spec.scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum ScaleMode {
    Static,
    Hpa,
}

/// Labels, as `key=value,key=value`.
pub type Labels = BTreeMap<String, String>;

fn labels(text: &str) -> Result<Labels, String> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        (!key.is_empty()).then(|| (key.trim().to_owned(), value.trim().to_owned()))
    };
    let labels = text.split(',').map(pair).collect::<Option<Labels>>();
    labels.ok_or_else(|| "must be labels, such as alert=high-cpu,team=shop".into())
}

fn positive(text: &str) -> Result<SignedDuration, String> {
    let duration = duration::parse(text).ok().filter(SignedDuration::is_positive);
    duration.ok_or_else(|| "must be a positive duration such as 90s, 15m or 1h30m".into())
}

impl Options {
    /// All of `spec` without the base and its template.
    ///
    /// # Errors
    /// [`Error::Usage`]: options that contradict each other.
    pub fn spec(&self) -> Result<Value, Error> {
        self.contradiction().map_or(Ok(()), |why| Err(Error::Usage(why.into())))?;
        let mut spec = json!({
            "scale": self.scale(),
            "traffic": self.traffic(),
            "validation": self.validation(),
        });
        if let Some(service) = &self.service {
            spec["serviceName"] = service.as_str().into();
        }
        Ok(spec)
    }

    fn contradiction(&self) -> Option<&'static str> {
        let mirrors = self.mirror_percentage.is_some() || self.mirror_provider.is_some();
        if self.traffic != Source::None && self.service.is_none() {
            return Some("--traffic needs --service, the production Service");
        }
        (mirrors && self.traffic != Source::Mirror)
            .then_some("--mirror-percentage and --mirror-provider need --traffic mirror")
    }

    /// What is allowed, but probably not meant.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        let asks = self.validation_promql_istio_quantile.is_some() || self.validation_promql_istio_success.is_some();
        (asks && self.traffic == Source::None).then_some(
            "with --traffic none the canary gets no requests, so promQL items have no data and the run cannot succeed",
        )
    }

    fn scale(&self) -> Value {
        match self.scale {
            ScaleMode::Static => json!({"static": {"replicas": self.replicas.unwrap_or(1)}}),
            ScaleMode::Hpa => {
                let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
                let metrics = json!([{"type": "Resource", "resource": cpu}]);
                json!({"hpa": {"minReplicas": 1, "maxReplicas": self.replicas.unwrap_or(10), "metrics": metrics}})
            }
        }
    }

    fn traffic(&self) -> Value {
        let mut traffic = json!({"source": self.traffic});
        if self.traffic == Source::Mirror {
            traffic["mirror"] = json!({"percentage": self.mirror_percentage.unwrap_or(100)});
            if let Some(provider) = self.mirror_provider {
                traffic["mirror"]["provider"] = json!(provider);
            }
        }
        traffic
    }

    fn validation(&self) -> Value {
        let mut validation = Map::new();
        if let Some(period) = self.validation_period {
            validation.insert("validationPeriod".into(), duration::print(period).into());
        }
        if self.dry_run {
            validation.insert("noUpdate".into(), true.into());
        }
        validation.insert("items".into(), self.items().into());
        Value::Object(validation)
    }

    /// The requested items and nothing else: a manual item beside others would make every run wait for an approval.
    fn items(&self) -> Vec<Value> {
        let quantile = self.validation_promql_istio_quantile.as_ref();
        let items: Vec<Value> = self
            .label_watch()
            .into_iter()
            .chain(quantile.map(|quantile| queries::latency(quantile, &self.prometheus_url)))
            .chain(self.validation_promql_istio_success.map(|share| queries::success(share, &self.prometheus_url)))
            .collect();
        if items.is_empty() { vec![json!({"manual": {"statusAfterDeadline": "none"}})] } else { items }
    }

    fn label_watch(&self) -> Option<Value> {
        let mut watch = Map::new();
        if let Some(labels) = &self.validation_labelwatch_pod {
            watch.insert("podInvalidationLabels".into(), json!(labels));
        }
        if let Some(labels) = &self.validation_labelwatch_dep {
            watch.insert("deploymentInvalidationLabels".into(), json!(labels));
        }
        (!watch.is_empty()).then(|| json!({"labelWatch": watch}))
    }
}
