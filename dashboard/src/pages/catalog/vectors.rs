//! How far the vectors of a catalog's texts are, and the button that has those tried again that were set aside.

use crate::app::App;
use crate::catalogs::InCatalog;
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::moment::Moment;
use crate::person::Posted;
use axum::extract::State;
use axum::response::Redirect;
use serde::Deserialize;

/// Items that were set aside, in the table.
const ASIDE: usize = 20;

/// What the page shows of a catalog that has an embedder.
pub(super) struct Vectors {
    pub(super) serving: String,
    /// The model that is to take over, if it is another.
    pub(super) to_come: Option<String>,
    pub(super) waiting: Num,
    pub(super) set_aside: Num,
    pub(super) rate: Num,
    pub(super) at: Option<Moment>,
    pub(super) trouble: Option<String>,
    pub(super) aside: Vec<Aside>,
}

pub(super) struct Aside {
    pub(super) id: String,
    pub(super) why: String,
    pub(super) at: Moment,
}

pub(super) async fn find(app: &App, frame: &Frame, catalog: &InCatalog) -> Result<Option<Vectors>, Failure> {
    let definition = catalog.candidates.definition();
    let Some((kind, name)) = definition.embedder.model() else { return Ok(None) };
    let standing = app.stores.vector_work.standing(&catalog.id, ASIDE).await?;
    let now = app.now();
    let aside =
        |aside: store::SetAside| Aside { id: aside.item, why: aside.why, at: Moment::ago(frame.lang, aside.at, now) };
    let serving = definition.serving.as_ref();
    Ok(Some(Vectors {
        serving: serving.map_or_else(String::new, |serving| serving.version.clone()),
        to_come: serving.filter(|s| s.embedder != definition.embedder).map(|_| format!("{kind} {name}")),
        waiting: Num::count(standing.waiting),
        set_aside: Num::count(standing.set_aside),
        rate: standing.at.map_or_else(Num::none, |_| Num::number(standing.rate)),
        at: standing.at.map(|at| Moment::ago(frame.lang, at, now)),
        trouble: standing.trouble,
        aside: standing.aside.into_iter().map(aside).collect(),
    }))
}

/// A form with a button and nothing else.
#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// `POST /dashboard/catalogs/{catalog}/retry`: has all items tried again that were set aside.
pub(crate) async fn retry(
    State(app): State<App>,
    catalog: InCatalog,
    Posted(..): Posted<Nothing>,
) -> Result<Redirect, Failure> {
    app.stores.vector_work.retry(&catalog.id, None, app.now()).await?;
    Ok(Redirect::to(&format!("{}?done=retried", catalog.path())))
}
