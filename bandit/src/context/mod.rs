//! Contextual policies: every arm has its own regression of the reward on the declared features.

mod cells;
mod cholesky;
mod features;
mod hierarchy;
mod linear;
mod logistic;
mod model;
mod policy;
mod propensity;

pub use cells::{ContextOutcome, most_context_outcomes};
pub use features::{Encoder, Encoding, MAX_COLUMNS, MAX_FEATURES, declared_features};
pub(crate) use model::link_of;
pub use model::{Coefficients, ContextModel, Link, recompute_model};
pub use policy::ContextPolicy;
pub use propensity::{Normal, highest};
