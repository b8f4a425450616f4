//! What a user writes: the `KanaryDeployment` resource, its defaults and the rules that need no cluster.
//!
//! Not here: what any of it means over time (`lifecycle`), or how it is stored and watched (`controller`).

pub mod crd;
pub mod duration;
pub mod names;
mod reason;
mod schema;
mod spec;
mod status;
mod template;
pub mod text;

pub use reason::{Explanation, Reason};
pub use spec::{
    Cleanup, Confirm, ContinuousValueDeviation, DefaultStatus, DiscreteValueOutOfList, Hpa, HttpRouteRef, Item,
    ItemKind, KanaryDeployment, KanaryDeploymentSpec, LabelWatch, Manual, ManualOverride, ManualStatus, Mirror, PromQl,
    Prometheus, Provider, Scale, SecretKeyRef, SecretRef, Source, StaticScale, Traffic, Validation, ValueInRange,
    VirtualServiceRef,
};
pub use status::{
    BaseStatus, CanaryStatus, Condition, ConditionStatus, ConditionType, ItemStatus, KanaryDeploymentStatus,
    ManualVerdict, Phase, Report, Verdict,
};
pub use template::Template;
