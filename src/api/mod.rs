//! What a user writes: the `KanaryDeployment` resource, its defaults and the rules that need no cluster.
//!
//! Not here: what any of it means over time (`lifecycle`), or how it is stored and watched (`controller`).

pub mod crd;
pub mod duration;
pub mod names;
mod schema;
mod spec;
mod status;
mod template;

pub use spec::{
    Check, Cleanup, Confirm, ContinuousValueDeviation, DiscreteValueOutOfList, Fixed, Hpa, HttpRouteRef, Item,
    KanaryDeployment, KanaryDeploymentSpec, LabelWatch, Manual, ManualOverride, Mirror, PromQl, Prometheus, Provider,
    Scale, SecretKeyRef, SecretRef, Silence, Source, Traffic, Validation, ValueInRange, VirtualServiceRef, Word,
};
pub use status::{
    BaseStatus, CanaryStatus, Condition, ConditionType, ItemStatus, KanaryDeploymentStatus, Phase, Report, Truth,
    Verdict,
};
pub use template::Template;
