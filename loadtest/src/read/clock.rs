//! Times as logs write them.

use super::Stamp;
use jiff::Timestamp;
use jiff::fmt::strtime;

/// Reads times; lines of one second share the work.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: String,
    last_ns: i64,
}

impl Clock {
    /// `17/May/2015:10:05:03 +0000`.
    pub(crate) fn common(&mut self, text: &str) -> Option<Stamp> {
        if text != self.last {
            let ns = self.common_ns(text)?;
            text.clone_into(&mut self.last);
            self.last_ns = ns;
        }
        Some(Stamp { ns: self.last_ns, coarse: true })
    }

    fn common_ns(&self, text: &str) -> Option<i64> {
        let read = strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).ok()?.to_timestamp().ok()?;
        i64::try_from(read.as_nanosecond()).ok()
    }

    /// Whatever a JSON log has: RFC 3339, seconds or milliseconds since 1970, or as in common logs.
    pub(crate) fn any(&mut self, text: &str) -> Option<Stamp> {
        if let Ok(at) = text.parse::<Timestamp>() {
            let coarse = !text.contains('.');
            return Some(Stamp { ns: i64::try_from(at.as_nanosecond()).ok()?, coarse });
        }
        match text.parse::<f64>() {
            Ok(number) => seconds(number, !text.contains('.')),
            Err(_) => self.common(text),
        }
    }
}

/// A number since 1970: seconds, unless it is so large that it must be milli-, micro- or nanoseconds.
pub(crate) fn seconds(number: f64, whole: bool) -> Option<Stamp> {
    let (scale, coarse) = match number {
        n if !(n.is_finite() && n >= 0.0) => return None,
        n if n < 1e11 => (1e9, whole),
        n if n < 1e14 => (1e6, false),
        n if n < 1e17 => (1e3, false),
        n if n < 9e18 => (1.0, false),
        _ => return None,
    };
    Some(Stamp { ns: (number * scale) as i64, coarse })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_it_is_the_same_moment() {
        let mut clock = Clock::default();
        let at = 1_431_857_103_000_000_000;
        for (text, coarse) in [
            ("17/May/2015:10:05:03 +0000", true),
            ("17/May/2015:12:05:03 +0200", true),
            ("2015-05-17T10:05:03Z", true),
            ("2015-05-17T12:05:03.000+02:00", false),
            ("1431857103", true),
            ("1431857103.000", false),
            ("1431857103000", false),
            ("1431857103000000", false),
        ] {
            assert_eq!(clock.any(text), Some(Stamp { ns: at, coarse }), "{text}");
        }
        for text in ["", "-", "17/Xyz/2015:10:05:03 +0000", "yesterday", "NaN", "-5", "1e300"] {
            assert_eq!(clock.any(text), None, "{text}");
        }
    }
}
