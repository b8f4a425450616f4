//! A Prometheus query as evidence: what to ask and when, what the answers so far say, and since when there are none.
//!
//! Pure. Sending is `controller::ask`'s: it takes an [`Inquiry`], and brings an [`Outcome`].

pub mod address;
pub mod answer;
pub mod asked;
mod case;
mod code;
pub mod copies;
mod deviation;
mod discrete;
mod evidence;
mod library;
mod memo;
mod objection;
pub mod outcome;
mod question;
mod range;
pub mod syntax;
pub mod template;
mod truth;

pub use address::Access;
pub use asked::{Asked, Mark, Reply};
pub(super) use case::{Case, line_of};
pub use evidence::Gap;
pub(super) use evidence::{find, gap};
pub use objection::{Objection, objection};
pub use outcome::{Evidence, Outcome};
pub(super) use question::inquiry;
pub use question::{Inquiry, identity, ticket};
