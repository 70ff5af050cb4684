//! `p99<10ms,errors<0.1%`: what a run must keep.

use super::summary::Report;
use std::fmt;
use std::str::FromStr;

/// A figure of a report.
#[derive(Debug, Clone, PartialEq)]
enum Figure {
    Time(Kind, Part),
    Errors,
    Rate,
    Differences,
    Unsticky,
    Malformed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Response,
    Service,
    Lag,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Quantile(f64),
    Mean,
    Max,
}

/// One figure and its bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Assertion {
    text: String,
    figure: Figure,
    below: bool,
    or_equal: bool,
    bound: f64,
}

impl FromStr for Assertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || {
            format!(
                "'{text}' is no condition: it is a figure (p50 to p99.99, mean, max, with service. or lag. before them; errors, rate, \
                 differences, unsticky, malformed), one of < <= > >=, and a bound, as in p99<10ms or errors<0.1%"
            )
        };
        let at = text.find(['<', '>']).ok_or_else(shape)?;
        let (name, rest) = text.split_at(at);
        let below = rest.starts_with('<');
        let bound = &rest[1..];
        let or_equal = bound.starts_with('=');
        let figure = figure(name.trim()).ok_or_else(shape)?;
        let bound = number(bound.trim_start_matches('=').trim(), &figure).ok_or_else(shape)?;
        Ok(Self { text: text.trim().to_owned(), figure, below, or_equal, bound })
    }
}

fn figure(name: &str) -> Option<Figure> {
    let (kind, part) = match name.split_once('.') {
        Some(("service", part)) => (Kind::Service, part),
        Some(("lag", part)) => (Kind::Lag, part),
        _ => (Kind::Response, name),
    };
    let part = match part {
        "mean" => Part::Mean,
        "max" => Part::Max,
        _ if part.starts_with('p') => {
            Part::Quantile(part[1..].parse().ok().filter(|p| (0.0..100.0).contains(p)).map(|p: f64| p / 100.0)?)
        }
        _ => {
            return Some(match name {
                "errors" => Figure::Errors,
                "rate" => Figure::Rate,
                "differences" => Figure::Differences,
                "unsticky" => Figure::Unsticky,
                "malformed" => Figure::Malformed,
                _ => return None,
            });
        }
    };
    Some(Figure::Time(kind, part))
}

/// Milliseconds, shares of one, requests per second, or a count.
fn number(text: &str, figure: &Figure) -> Option<f64> {
    let units: &[(&str, f64)] = match figure {
        Figure::Time(..) => &[("us", 1e-3), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3)],
        Figure::Errors | Figure::Differences => &[("%", 0.01), ("", 1.0)],
        Figure::Rate => &[("/s", 1.0)],
        Figure::Unsticky | Figure::Malformed => &[("", 1.0)],
    };
    let read = |(unit, scale): &(&str, f64)| Some(text.strip_suffix(unit)?.trim().parse::<f64>().ok()? * scale);
    units.iter().find_map(read).filter(|bound| bound.is_finite() && *bound >= 0.0)
}

impl Assertion {
    fn value(&self, report: &Report) -> f64 {
        let Some(target) = report.targets.first() else { return f64::NAN };
        match &self.figure {
            Figure::Time(kind, part) => {
                let times = match kind {
                    Kind::Response => &target.response,
                    Kind::Service => &target.service,
                    Kind::Lag => &target.lag,
                };
                match part {
                    Part::Quantile(q) => times.quantile(*q),
                    Part::Mean => times.mean,
                    Part::Max => times.max,
                }
            }
            Figure::Errors => target.error_share(),
            Figure::Rate => target.rate_achieved,
            Figure::Differences => {
                report.differences.as_ref().map_or(0.0, |d| d.different as f64 / d.compared.max(1) as f64)
            }
            Figure::Unsticky => report.findings.unsticky as f64,
            Figure::Malformed => report.findings.malformed as f64,
        }
    }

    /// Whether it holds. Of no answers at all nothing holds.
    pub(crate) fn holds(&self, report: &Report) -> bool {
        let value = self.value(report);
        let answered = report.targets.first().is_some_and(|target| target.answered > 0);
        let within = if self.below { value < self.bound } else { value > self.bound };
        answered && (within || (self.or_equal && value == self.bound))
    }

    /// What was asked, and what it was.
    pub(crate) fn told(&self, report: &Report) -> String {
        let value = self.value(report);
        let value = match self.figure {
            Figure::Time(..) => format!("{value:.3} ms"),
            Figure::Errors | Figure::Differences => format!("{:.4} %", value * 100.0),
            Figure::Rate => format!("{value:.1}/s"),
            Figure::Unsticky | Figure::Malformed => format!("{value}"),
        };
        format!("{self}: {value}{}", if self.holds(report) { "" } else { ", NOT MET" })
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_as_they_are_written() {
        for (text, bound) in [
            ("p99<10ms", 10.0),
            ("p99.9 <= 1.5s", 1_500.0),
            ("service.p50<250us", 0.25),
            ("lag.max<1ms", 1.0),
            ("errors<0.1%", 0.001),
            ("rate>=4995/s", 4_995.0),
            ("unsticky<1", 1.0),
        ] {
            let read: Assertion = text.parse().unwrap();
            assert!((read.bound - bound).abs() < 1e-9, "{text}: {read:?}");
        }
        for text in ["p99", "p99<10", "p100<1ms", "errors<1ms", "speed<1", "p99=1ms", "rate<1%", "p99<-1ms", ""] {
            assert!(text.parse::<Assertion>().is_err(), "{text}");
        }
    }
}
