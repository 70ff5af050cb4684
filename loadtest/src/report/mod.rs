//! What a run found: for people, for programs, and as a page.

mod assertion;
mod chart;
mod diff;
mod html;
mod live;
mod summary;
mod text;

pub(crate) use assertion::Assertion;
pub(crate) use diff::diff;
pub(crate) use html::page;
pub(crate) use live::{Length, Live};
pub(crate) use summary::{About, LogReport, Report, TargetReport};
pub(crate) use text::text;
