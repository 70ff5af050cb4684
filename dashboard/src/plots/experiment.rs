//! The plots of one experiment, by name.

use super::figure::Brief;
use super::past::Past;
use super::{bands, delay, densities, gain, propensities, segments, values};
use crate::app::{App, Found};
use crate::failure::Failure;
use crate::frame::Frame;
use crate::view::View;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use jiff::Timestamp;
use store::{Detail, VersionEntry, Versions, results, segment_counts, with_foremost_arms};

/// Versions that a plot over time shows: more than this many are thinned evenly.
const VERSIONS: usize = 100;
/// Changes that are marked.
const CHANGES: usize = 12;

/// `GET /dashboard/experiments/{id}/plots/{plot}?days=&version=`
pub(crate) async fn plot(
    State(app): State<App>,
    Found(record): Found,
    frame: Frame,
    view: View,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Brief>, Failure> {
    let record = with_foremost_arms(&app.stores, record).await?;
    let (e, stores, lang) = (&record.definition, &app.stores, frame.lang);
    let Path((_, plot)) = path.map_err(|_| Failure::page())?;
    let figure = match plot.as_str() {
        "densities" => {
            let arms = match chosen(&app, &e.id, view.version).await? {
                Some(entry) => entry.rows(&stores.memory),
                None => results(stores, &record, app.now(), Detail::Whole).await?.arms,
            };
            densities::figure(lang, e, &arms)
        }
        "delay" => {
            let results = results(stores, &record, app.now(), Detail::Whole).await?;
            delay::figure(lang, results.delay.as_ref(), e.reward.window_hours)
        }
        "propensities" => {
            let version = match chosen(&app, &e.id, view.version).await? {
                Some(entry) => Some(entry),
                None => stores.history.entries(&e.id, Timestamp::MIN, 2).await?.entries.pop(),
            };
            propensities::figure(lang, version.as_ref())
        }
        "segments" => segments::figure(lang, e, &segment_counts(stores, &record, segments::SEGMENTS).await?),
        over_time => {
            let draw = match over_time {
                "best" => bands::best,
                "allocation" => bands::allocation,
                "rewards" => gain::rewards,
                "gain" => gain::gained,
                "holdout" => gain::holdout,
                "remaining" => values::remaining,
                "sample-ratio" => values::sample_ratio,
                _ => return Err(Failure::page()),
            };
            let since = view.since(app.now());
            let Versions { entries, unreadable } = stores.history.entries(&e.id, since, VERSIONS).await?;
            let changes = stores.experiments.audit(Some(&e.id), None, CHANGES).await?;
            draw(&Past { lang, definition: e, entries, unreadable, changes, chosen: view.version })
        }
    };
    Ok(Json(Brief(figure)))
}

/// The version that the page shows, if it is not the newest.
async fn chosen(app: &App, id: &str, version: Option<u64>) -> Result<Option<VersionEntry>, Failure> {
    Ok(match version {
        Some(version) => app.stores.history.version(id, version).await?,
        None => None,
    })
}
