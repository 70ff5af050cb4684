//! The answer for programs.

use super::Report;
use serde_json::{Value, json};

pub(super) fn json(report: &Report) -> Value {
    let simulation = |(name, simulation): (&String, &bandit::simulate::Simulation)| {
        let mut value = json!(simulation);
        value["name"] = json!(name);
        value
    };
    json!({
        "environment": report.title,
        "days": report.environment.days,
        "trials": report.environment.trials(),
        "seeds": report.seeds,
        "simulations": report.names.iter().zip(&report.simulations).map(simulation).collect::<Vec<_>>(),
    })
}
