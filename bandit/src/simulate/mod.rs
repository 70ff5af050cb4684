//! Policies tried in made-up worlds: regret, with its standard error.

mod environment;
mod learner;
mod outlook;
mod plan;
mod report;
mod run;
mod streams;

pub use environment::{Delay, Drift, Environment, EnvironmentError, Phase, Rates, SimulatedFeature, Visitor, World};
pub use outlook::Outlook;
pub use plan::{Decided, Planned};
pub use report::{Paired, Simulation, simulate};
pub use run::Run;
