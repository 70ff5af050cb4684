//! What part of an experiment a page or plot shows, as its address says.

use crate::address;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use std::convert::Infallible;

/// Days that plots over time may go back; all of the past otherwise.
pub(crate) const RANGES: [u32; 3] = [7, 30, 90];

/// `?version=&days=&segment=&before=`; what cannot be read is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// A past version.
    pub(crate) version: Option<u64>,
    /// How far plots go back.
    pub(crate) days: Option<u32>,
    /// One segment.
    pub(crate) segment: Option<String>,
    /// The change before which the timeline begins.
    pub(crate) before: Option<i64>,
}

impl View {
    fn of(pairs: &[(String, String)]) -> Self {
        let value = |wanted| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        Self {
            version: value("version").and_then(|v| v.parse().ok()),
            days: value("days").and_then(|v| v.parse().ok()).filter(|days| RANGES.contains(days)),
            segment: value("segment").filter(|s| !s.is_empty()).map(str::to_owned),
            before: value("before").and_then(|v| v.parse().ok()),
        }
    }

    /// The moment from which plots show versions.
    pub(crate) fn since(&self, now: Timestamp) -> Timestamp {
        let days = |days: u32| now.saturating_sub(SignedDuration::from_hours(24 * i64::from(days)));
        self.days.map_or(Timestamp::MIN, |n| days(n).unwrap_or(Timestamp::MIN))
    }

    /// Address of a plot of the experiment, as far as this view goes.
    pub(crate) fn plot(&self, id: &str, plot: &str) -> String {
        let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(days) = self.days {
            query.append_pair("days", &days.to_string());
        }
        if let Some(version) = self.version {
            query.append_pair("version", &version.to_string());
        }
        let (path, query) = (format!("/dashboard/experiments/{id}/plots/{plot}"), query.finish());
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for View {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&address::pairs(&parts.uri)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> View {
        View::of(&address::pairs(&format!("/x?{query}").parse().unwrap()))
    }

    #[test]
    fn addresses_are_read_and_nonsense_is_left_out() {
        let view = of("version=7&days=30&segment=a%3Db&before=9");
        assert_eq!((view.version, view.days, view.before), (Some(7), Some(30), Some(9)));
        assert_eq!(view.segment.as_deref(), Some("a=b"));
        assert_eq!(view.plot("e", "best"), "/dashboard/experiments/e/plots/best?days=30&version=7");
        assert_eq!(of("version=-1&days=1000000&segment=&before=x"), View::default());
        assert_eq!(View::default().plot("e", "best"), "/dashboard/experiments/e/plots/best");
        assert_eq!(View::default().since(Timestamp::MAX), Timestamp::MIN);
        assert_eq!(of("days=7").since(Timestamp::MIN), Timestamp::MIN);
    }
}
