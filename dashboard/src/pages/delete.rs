//! Before an experiment is deleted.

use super::{Answer, html};
use crate::app::Found;
use crate::failure::Failure;
use crate::frame::Frame;
use crate::person::Editor;
use askama::Template;
use bandit::Status;

#[derive(Template)]
#[template(path = "delete.html")]
struct Delete {
    frame: Frame,
    id: String,
    title: String,
}

/// `GET /dashboard/experiments/{id}/delete`
pub(crate) async fn delete(_: Editor, frame: Frame, Found(record): Found) -> Answer {
    let e = &record.definition;
    match record.status {
        Status::Draft | Status::Stopped => html(&Delete { frame, id: e.id.clone(), title: e.title().into() }),
        Status::Running | Status::Paused => {
            Err(Failure::conflict(format!("experiment '{}' is {}: stop it first", e.id, record.status)))
        }
    }
}
