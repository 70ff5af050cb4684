//! Numbers as people read them. The exact value stays beside the text, for whoever copies it.

use askama::filters::HtmlSafe;
use std::fmt::{Display, Formatter, Result};

/// A number, or none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Num {
    exact: Option<String>,
    pub(crate) text: String,
}

/// Signs and digits, and what could be markup is escaped.
impl HtmlSafe for Num {}

impl Display for Num {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let text = self.text.replace('<', "&lt;").replace('>', "&gt;");
        match &self.exact {
            Some(exact) => write!(f, r#"<data value="{exact}">{text}</data>"#),
            None => f.write_str(&text),
        }
    }
}

impl Num {
    pub(crate) fn none() -> Self {
        Self { exact: None, text: "—".into() }
    }

    fn of(value: f64, text: String) -> Self {
        if value.is_finite() { Self { exact: Some(value.to_string()), text } } else { Self::none() }
    }

    /// Any number, with four significant digits: 0.1235
    pub(crate) fn number(value: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
        let decimals = (3.0 - value.abs().max(1e-6).log10().floor()).clamp(0.0, 9.0) as usize;
        let text = grouped(&format!("{value:.decimals$}"));
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text };
        Self::of(value, text)
    }

    /// 12,345
    pub(crate) fn count(n: u64) -> Self {
        Self { exact: Some(n.to_string()), text: grouped(&n.to_string()) }
    }

    /// A rate: 5.08%
    pub(crate) fn rate(rate: f64) -> Self {
        Self::of(rate, percent(rate, digits(rate)) + "%")
    }

    /// A rate that may not exist.
    pub(crate) fn maybe_rate(rate: Option<f64>) -> Self {
        rate.map_or_else(Self::none, Self::rate)
    }

    /// Both ends of an interval of rates, with as many digits as each other.
    pub(crate) fn range([low, high]: [f64; 2]) -> [Self; 2] {
        let digits = digits(high);
        [Self::of(low, percent(low, digits)), Self::of(high, percent(high, digits) + "%")]
    }

    /// A probability: 93.0%, and never 0% or 100% of what is merely unlikely or likely.
    pub(crate) fn share(p: f64) -> Self {
        let text = match p {
            0.9995..1.0 => ">99.9%".into(),
            _ if p > 0.0 && p < 0.0005 => "<0.1%".into(),
            _ => percent(p, 1) + "%",
        };
        Self::of(p, text)
    }

    /// A level of confidence, with all the digits that somebody chose: 95%, 99.99%
    pub(crate) fn level(p: f64) -> Self {
        Self::of(p, format!("{}%", (p * 1e6).round() / 1e4))
    }

    /// A difference of rates, in percentage points: 0.040 pp
    pub(crate) fn points(difference: f64) -> Self {
        Self::of(difference, percent(difference, digits(difference)) + " pp")
    }

    /// An amount that need not be whole: 12.3, 1,234
    pub(crate) fn amount(x: f64) -> Self {
        Self::of(x, grouped(&format!("{x:.*}", usize::from(x.abs() < 99.95))))
    }

    /// A number of things that was estimated: 1,234
    pub(crate) fn decimal(n: f64) -> Self {
        Self::of(n, grouped(&format!("{n:.0}")))
    }

    /// A difference of such numbers: +1,234
    pub(crate) fn signed(n: f64) -> Self {
        let digits = if n.abs() < 9.95 { 1 } else { 0 };
        let text = grouped(&format!("{n:.digits$}"));
        Self::of(n, if n > 0.0 { format!("+{text}") } else { text })
    }

    /// A relative difference: +21.0%
    pub(crate) fn change(ratio: f64) -> Self {
        // Without successes of the control there is no bound worth its digits.
        let text = if ratio > 1e3 { ">+100,000%".into() } else { signed(ratio) };
        Self::of(ratio, text)
    }
}

fn signed(ratio: f64) -> String {
    let text = percent(ratio, if ratio.abs() < 10.0 { 1 } else { 0 }) + "%";
    if ratio > 0.0 { format!("+{text}") } else { text }
}

/// Decimals of a percentage that show three significant digits of a rate.
fn digits(rate: f64) -> usize {
    match rate.abs() * 100.0 {
        p if p >= 9.995 => 1,
        p if p >= 0.9995 || p == 0.0 => 2,
        p if p >= 0.09995 => 3,
        _ => 4,
    }
}

fn percent(ratio: f64, digits: usize) -> String {
    grouped(&format!("{:.digits$}", ratio * 100.0))
}

/// Commas between thousands, a minus that is one.
fn grouped(number: &str) -> String {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |n| ("−", n));
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut out = String::from(if number.bytes().all(|b| matches!(b, b'0' | b'.')) { "" } else { sign });
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(Num::count(1_234_567).to_string(), r#"<data value="1234567">1,234,567</data>"#);
        assert_eq!(Num::count(0).text, "0");
        let numbers = [0.123_456, 1.0, 0.0, 1234.56, -2.5, 1e-9, 123_456.7].map(|n| Num::number(n).text);
        assert_eq!(numbers, ["0.1235", "1", "0", "1,235", "−2.5", "0.000000001", "123,457"]);
        assert_eq!(Num::rate(0.050_833).to_string(), r#"<data value="0.050833">5.08%</data>"#);
        assert_eq!((Num::rate(0.5).text, Num::rate(0.0012).text), ("50.0%".into(), "0.120%".into()));
        assert_eq!(Num::maybe_rate(None).to_string(), "—");
        assert_eq!(Num::rate(f64::NAN).to_string(), "—");
        assert_eq!(Num::range([0.039, 0.064]).map(|n| n.text), ["3.90", "6.40%"]);
        assert_eq!((Num::share(1.0).text, Num::share(0.99999).text), ("100.0%".into(), ">99.9%".into()));
        assert_eq!((Num::share(0.0).text, Num::share(0.0001).text), ("0.0%".into(), "<0.1%".into()));
        assert_eq!(Num::share(0.0001).to_string(), r#"<data value="0.0001">&lt;0.1%</data>"#);
        assert_eq!((Num::amount(12.34).text, Num::amount(-1234.4).text), ("12.3".into(), "−1,234".into()));
        assert_eq!(Num::points(0.0004).text, "0.0400 pp");
    }

    #[test]
    fn differences_have_a_sign() {
        assert_eq!((Num::change(0.21).text, Num::change(-0.021).text), ("+21.0%".into(), "−2.1%".into()));
        assert_eq!((Num::change(0.0).text, Num::change(-1e-9).text), ("0.0%".into(), "0.0%".into()));
        assert_eq!((Num::signed(1234.4).text, Num::signed(-1.25).text), ("+1,234".into(), "−1.2".into()));
        assert_eq!((Num::change(12.5).text, Num::change(1e9).text), ("+1,250%".into(), ">+100,000%".into()));
    }
}
