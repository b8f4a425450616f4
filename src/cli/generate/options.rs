//! What a person can ask of `generate`, and the `spec` that it makes.

use std::collections::BTreeMap;

use clap::ValueEnum;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::queries::{self, Quantile};
use crate::{api::duration, cli::Error};

/// What the `KanaryDeployment` is to be like.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Its name. Default: the Deployment's.
    #[arg(long)]
    pub name: Option<String>,
    /// The production Service.
    #[arg(long)]
    pub service: Option<String>,
    /// How many canary pods: a fixed number, or as an autoscaler says.
    #[arg(long, value_enum, default_value_t = Scale::Static)]
    pub scale: Scale,
    /// Canary pods; with --scale hpa, the most of them.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    pub replicas: Option<i32>,
    /// Who reaches the canary.
    #[arg(long, value_enum, default_value_t = Traffic::None)]
    pub traffic: Traffic,
    /// With --traffic mirror: how many of a hundred requests are copied.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(i32).range(0..=100))]
    pub mirror_percentage: Option<i32>,
    /// With --traffic mirror: whose routes carry the copies.
    #[arg(long, value_enum)]
    pub mirror_provider: Option<Provider>,
    /// The canary is judged for this long, e.g. 15m or 1h30m.
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub validation_period: Option<SignedDuration>,
    /// A canary pod with these labels is bad, e.g. alert=high-cpu.
    #[arg(long, value_name = "LABELS", value_parser = labels)]
    pub validation_labelwatch_pod: Option<Labels>,
    /// The canary Deployment with these labels is bad.
    #[arg(long, value_name = "LABELS", value_parser = labels)]
    pub validation_labelwatch_dep: Option<Labels>,
    /// A bound on Istio's request duration in milliseconds, e.g. 'P99<310'.
    #[arg(long, value_name = "BOUND")]
    pub validation_promql_istio_quantile: Option<Quantile>,
    /// The least share of requests without a server error, as Istio counts them, e.g. 0.95.
    #[arg(long, value_name = "SHARE", value_parser = queries::share)]
    pub validation_promql_istio_success: Option<f64>,
    /// Where the promQL validations ask.
    #[arg(long, value_name = "URL", default_value = "http://prometheus.istio-system:9090")]
    pub prometheus_url: String,
    /// Judge the canary, but leave the Deployment as it is (noUpdate).
    #[arg(long)]
    pub dry_run: bool,
}

/// `spec.scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Scale {
    Static,
    Hpa,
}

/// `spec.traffic.source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Traffic {
    None,
    Service,
    KanaryService,
    Both,
    Mirror,
}

/// `spec.traffic.mirror.provider`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Provider {
    Istio,
    GatewayApi,
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
    /// All of `spec` but the base and its template.
    ///
    /// # Errors
    /// [`Error::Usage`]: options that do not go together.
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
        if self.traffic != Traffic::None && self.service.is_none() {
            return Some("--traffic needs --service: the production Service whose traffic it is");
        }
        (mirrors && self.traffic != Traffic::Mirror).then_some("--mirror-… needs --traffic mirror")
    }

    /// What is allowed, but likely not meant.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        let asks = self.validation_promql_istio_quantile.is_some() || self.validation_promql_istio_success.is_some();
        (asks && self.traffic == Traffic::None).then_some(
            "with --traffic none no request reaches the canary, so there is nothing to measure and the run will not succeed",
        )
    }

    fn scale(&self) -> Value {
        match self.scale {
            Scale::Static => json!({"static": {"replicas": self.replicas.unwrap_or(1)}}),
            Scale::Hpa => {
                let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
                let metrics = json!([{"type": "Resource", "resource": cpu}]);
                json!({"hpa": {"minReplicas": 1, "maxReplicas": self.replicas.unwrap_or(10), "metrics": metrics}})
            }
        }
    }

    fn traffic(&self) -> Value {
        let mut traffic = json!({"source": spelt(self.traffic)});
        if self.traffic == Traffic::Mirror {
            traffic["mirror"] = json!({"percentage": self.mirror_percentage.unwrap_or(100)});
            if let Some(provider) = self.mirror_provider {
                traffic["mirror"]["provider"] = spelt(provider);
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

    /// What is asked for and nothing else: a manual item beside others would make every run wait for a person.
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

fn spelt(value: impl ValueEnum) -> Value {
    value.to_possible_value().map_or(Value::Null, |value| value.get_name().into())
}
