//! Periodic work is aligned to the clock, so that replicas and restarts agree on what is due.

use jiff::{SignedDuration, Timestamp};

/// The last multiple of `interval` (counted from 1970-01-01T00:00Z) that is not after `now`.
#[must_use]
pub fn boundary(now: Timestamp, interval: SignedDuration) -> Timestamp {
    let step = interval.as_millis().max(1);
    let ms = i128::from(now.as_millisecond());
    i64::try_from(ms - ms.rem_euclid(step)).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_begin_on_the_hour() {
        let at = |t: &str| t.parse::<Timestamp>().unwrap();
        let hour = SignedDuration::from_hours(1);
        assert_eq!(boundary(at("2026-11-21T10:59:59.999Z"), hour), at("2026-11-21T10:00:00Z"));
        assert_eq!(boundary(at("2026-11-21T10:00:00Z"), hour), at("2026-11-21T10:00:00Z"));
        assert_eq!(boundary(at("1969-12-31T23:59:00Z"), hour), at("1969-12-31T23:00:00Z"));
    }
}
