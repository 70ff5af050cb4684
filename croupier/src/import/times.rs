//! Moments as logs write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// What [`read`] takes, for who wrote something else.
pub(crate) const TAKEN: &str = "RFC 3339, or Unix seconds, milliseconds or microseconds";

/// Reads a moment: RFC 3339 with `T` or a space, in UTC when no zone is given, or an integer since 1970.
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(n) = text.parse::<i64>() {
        // 20191124 is a date that somebody wrote without hyphens, not an evening of August 1970.
        let compact = text.len() == 8 && text.parse::<Date>().is_ok_and(|d| (1900..2100).contains(&d.year()));
        return if compact { None } else { since_1970(n) };
    }
    // A local time is the last resort, since its parser passes over a zone's name.
    let local = || text.parse::<DateTime>().ok().and_then(|t| TimeZone::UTC.to_timestamp(t).ok());
    text.parse().ok().or_else(|| text.parse::<Zoned>().ok().map(|z| z.timestamp())).or_else(local)
}

/// The unit is told by magnitude: seconds up to the year 5138, milliseconds from March 1973 on, and so forth.
fn since_1970(n: i64) -> Option<Timestamp> {
    match n.unsigned_abs() {
        0..100_000_000_000 => Timestamp::from_second(n),
        100_000_000_000..100_000_000_000_000 => Timestamp::from_millisecond(n),
        100_000_000_000_000..100_000_000_000_000_000 => Timestamp::from_microsecond(n),
        _ => Timestamp::from_nanosecond(i128::from(n)),
    }
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_in_many_hands() {
        let moment: Timestamp = "2019-11-24T00:01:03Z".parse().unwrap();
        for text in [
            "2019-11-24T00:01:03Z",
            "2019-11-24 00:01:03+00:00",
            "2019-11-24T09:01:03+09:00",
            "2019-11-24 00:01:03",
            "2019-11-24T00:01:03",
            "2019-11-24T00:01:03.000000",
            "1574553663",
            "1574553663000",
            "1574553663000000",
            "1574553663000000000",
            " 1574553663 ",
            "2019-11-24T09:01:03[Asia/Tokyo]",
            "2019-11-24T09:01:03+09:00[Asia/Tokyo]",
        ] {
            assert_eq!(read(text), Some(moment), "{text}");
        }
        assert_eq!(read("2019-11-24 00:01:03.979311+00:00"), "2019-11-24T00:01:03.979311Z".parse().ok());
        assert_eq!(read("2019-11-24"), "2019-11-24T00:00:00Z".parse().ok());
        assert_eq!(read("-1"), "1969-12-31T23:59:59Z".parse().ok());
    }

    #[test]
    fn what_is_not_a_moment() {
        for text in
            ["", "yesterday", "2019-13-01", "2019-11-24T25:00:00Z", "24/11/2019", "20191124", "1e9", "1574553663.5"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
