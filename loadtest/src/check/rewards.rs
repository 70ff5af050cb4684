//! Rewards as a model has them: each arm's rate, and how long they take.

use super::answer::Decision;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// How often each arm is rewarded, and after how long.
#[derive(Debug, Clone)]
pub(crate) struct RewardModel {
    pub(crate) name: String,
    pub(crate) rates: Rates,
    /// Mean of the exponential delay.
    pub(crate) delay: Duration,
}

/// Rate of each arm; `*` is of all others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rates(Vec<(String, f64)>);

impl std::str::FromStr for Rates {
    type Err = String;

    /// `control=4%,b=0.06,*=5%`
    fn from_str(text: &str) -> Result<Self, String> {
        let rate = |text: &str| match text.strip_suffix('%') {
            Some(percent) => percent.parse().map(|p: f64| p / 100.0).ok(),
            None => text.parse().ok(),
        };
        let pairs = text.split(',').map(|pair| {
            let (arm, value) = pair.split_once('=')?;
            Some((arm.trim().to_owned(), rate(value.trim()).filter(|r| (0.0..=1.0).contains(r))?))
        });
        pairs.collect::<Option<_>>().map(Self).ok_or_else(|| "is ARM=RATE,… as in control=4%,b=6%,*=5%".to_owned())
    }
}

impl RewardModel {
    /// Whether a decision is rewarded, and after how many nanoseconds. A repeat is no second chance, and what a
    /// decision's id decides can be repeated.
    pub(super) fn draw(&self, decision: &Decision<'_>) -> Option<(&str, u64)> {
        let rates = Some(&self.rates.0).filter(|_| decision.first)?;
        let rate =
            rates.iter().find(|(arm, _)| *arm == decision.arm).or_else(|| rates.iter().find(|(arm, _)| arm == "*"))?.1;
        if uniform(&decision.decision_id, "whether") >= rate {
            return None;
        }
        let delay = -(1.0 - uniform(&decision.decision_id, "when")).ln() * self.delay.as_secs_f64();
        Some((&self.name, (delay * 1e9) as u64))
    }
}

fn uniform(id: &str, what: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    (id, what).hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_rewarded_at_their_rates_after_their_delay() {
        let model =
            RewardModel { name: "buy".into(), rates: "a=20%,*=0.5".parse().unwrap(), delay: Duration::from_secs(2) };
        for (arm, rate) in [("a", 0.2), ("b", 0.5)] {
            let draw = |i: u64| {
                let body = format!(
                    r#"{{"decision_id":"{i}","experiment":"e","arm":"{arm}","payload":null,"first":true,"day":"2026-11-21","propensity":0.5,"posterior_version":1,"source":"policy"}}"#
                );
                model.draw(&Decision::read(body.as_bytes()).unwrap()).map(|(_, delay)| delay)
            };
            let delays: Vec<u64> = (0..10_000).filter_map(draw).collect();
            // Four standard deviations of a binomial, and of a mean of exponentials.
            let n = delays.len() as f64;
            assert!((n / 1e4 - rate).abs() < 4.0 * (rate * (1.0 - rate) / 1e4).sqrt(), "{arm}: {n}");
            let mean = delays.iter().map(|d| *d as f64 / 1e9).sum::<f64>() / n;
            assert!((mean - 2.0).abs() < 4.0 * 2.0 / n.sqrt(), "{arm}: {mean}");
            assert_eq!(draw(7), draw(7));
        }
        for text in ["a", "a=2", "a=x%", ""] {
            assert!(text.parse::<Rates>().is_err(), "{text}");
        }
    }
}
