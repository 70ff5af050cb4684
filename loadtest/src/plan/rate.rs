//! Rates over time: constant, in steps and in ramps.

use std::str::FromStr;
use std::time::Duration;

/// How many times as fast as the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Speed(pub(crate) f64);

impl FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix('x').unwrap_or(text).parse().ok();
        number.filter(|speed: &f64| speed.is_finite() && *speed > 0.0).map(Self).ok_or("is a number above 0, as in 10x")
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    from: f64,
    to: f64,
    /// For ever, if absent.
    seconds: Option<f64>,
}

/// Requests per second, in parts that follow each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rate(Vec<Part>);

impl Rate {
    pub(crate) fn constant(per_second: f64) -> Self {
        Self(vec![Part { from: per_second, to: per_second, seconds: None }])
    }

    /// Seconds after the beginning at which `count` requests have been due; none if the rate ends before.
    pub(super) fn time_of(&self, count: f64) -> Option<f64> {
        let (mut left, mut begun) = (count, 0.0);
        for part in &self.0 {
            let Some(seconds) = part.seconds else { return Some(begun + left / part.from) };
            let holds = (part.from + part.to) / 2.0 * seconds;
            if left < holds {
                let slope = (part.to - part.from) / seconds;
                // The root of from·t + slope·t²/2 = left, in the form that does not cancel.
                let root = (part.from * part.from + 2.0 * slope * left).max(0.0).sqrt();
                let time = if left == 0.0 { 0.0 } else { 2.0 * left / (part.from + root) };
                return Some(begun + time.min(seconds));
            }
            left -= holds;
            begun += seconds;
        }
        None
    }
}

impl FromStr for Rate {
    type Err = String;

    /// `5000/s`, `100/s@30s,100..5000/s@2m,5000/s`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<Part> = text.split(',').map(part).collect::<Result<_, _>>()?;
        if parts.iter().rev().skip(1).any(|part| part.seconds.is_none()) {
            return Err("each part but the last says how long it lasts, as in 100/s@30s".to_owned());
        }
        Ok(Self(parts))
    }
}

fn part(text: &str) -> Result<Part, String> {
    let shape = || format!("'{text}' is no rate: it is as in 5000/s, 500/s@30s or 100..5000/s@2m");
    let (rates, time) = text.split_once('@').map_or((text, None), |(rates, time)| (rates, Some(time)));
    let (rates, unit) = rates.split_once('/').ok_or_else(shape)?;
    let per = match unit.trim() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(shape()),
    };
    let number = |text: &str| text.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0).map(|n| n / per);
    let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
    let (from, to) = (number(from).ok_or_else(shape)?, number(to).ok_or_else(shape)?);
    let seconds = time.map(duration).transpose().map_err(|_| shape())?.map(|time| time.as_secs_f64());
    let ends = seconds.is_some_and(|s| s > 0.0);
    if from + to <= 0.0 || (from != to && !ends) || (seconds.is_some() && !ends) {
        return Err(shape());
    }
    Ok(Part { from, to, seconds })
}

/// `30s`, `2m`, `500ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read: Option<jiff::SignedDuration> = text.parse().ok();
    read.and_then(|d| Duration::try_from(d).ok())
        .ok_or_else(|| format!("'{text}' is no duration: it is as in 30s, 2m or 500ms"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_follow_each_other() {
        let rate: Rate = "100/s@10s,100..300/s@10s,300/s".parse().unwrap();
        for (count, seconds) in [(0.0, 0.0), (500.0, 5.0), (1_000.0, 10.0), (3_000.0, 20.0), (3_300.0, 21.0)] {
            assert!((rate.time_of(count).unwrap() - seconds).abs() < 1e-9, "{count}");
        }
        // Half of a ramp's time is not half of its requests: 100·5 + 20·25/2 = 750.
        assert!((rate.time_of(1_750.0).unwrap() - 15.0).abs() < 1e-9);
        let ends: Rate = "0..60/m@1m".parse().unwrap();
        assert_eq!((ends.time_of(29.9).is_some(), ends.time_of(30.0)), (true, None));
    }

    #[test]
    fn bad_rates_say_how_it_is_done() {
        for text in ["5000", "0/s", "-1/s", "10/s@0s", "1..5/s", "1/s,2/s", "x/s", "1/week", "1/s@soon", ""] {
            let why = text.parse::<Rate>().unwrap_err();
            assert!(why.contains("as in"), "{text}: {why}");
        }
        assert!("0x".parse::<Speed>().is_err() && "10x".parse() == Ok(Speed(10.0)) && "0.5".parse() == Ok(Speed(0.5)));
    }

    proptest! {
        #[test]
        fn time_grows_with_the_count(a in 0.0..1e3_f64, b in 0.0..1e3_f64, s in 0.1..100.0_f64, n in 0.0..1e5_f64, m in 0.0..1e5_f64) {
            prop_assume!(a + b > 0.01);
            let rate = Rate(vec![Part { from: a, to: b, seconds: Some(s) }, Part { from: 5.0, to: 5.0, seconds: None }]);
            let (less, more) = (rate.time_of(n.min(m)).unwrap(), rate.time_of(n.max(m)).unwrap());
            prop_assert!(less.is_finite() && less <= more + 1e-6);
        }
    }
}
