//! What every page has around it, and who looks at it.

use crate::app::App;
use crate::assets;
use crate::export::Downloads;
use crate::lang::{Lang, Phrase, Thing};
use crate::person::Person;
use crate::preferences::Preferences;
use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use std::convert::Infallible;

/// What the layout needs, whatever the page.
pub(crate) struct Frame {
    pub(crate) notice: Option<&'static str>,
    /// Whether the page keeps itself current.
    pub(crate) live: bool,
    /// Whether it waits for something that is being computed.
    pub(crate) soon: bool,
    pub(crate) lang: Lang,
    /// `dark` or `light` if somebody chose; the browser's otherwise.
    pub(crate) theme: Option<&'static str>,
    /// Who is signed in.
    pub(crate) person: Option<Person>,
    uri: Uri,
}

impl Frame {
    /// The frame of a page that keeps itself current, if `live`.
    pub(crate) fn live(self, live: bool) -> Self {
        Self { live, ..self }
    }

    /// The frame of a page that waits for something: it looks again each second, if `waiting`.
    pub(crate) fn soon(self, waiting: bool) -> Self {
        Self { live: self.live || waiting, soon: waiting, ..self }
    }

    /// This page's query, as plots and files of the same view take it.
    pub(crate) fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// Address of an asset.
    pub(crate) fn link(&self, file: &str) -> String {
        assets::link(file)
    }

    /// A text in the reader's language.
    pub(crate) fn t(&self, english: &'static str) -> &'static str {
        self.lang.t(english)
    }

    /// A sentence with things in it.
    pub(crate) fn say(&self, english: &'static str, things: &[(&str, Thing<'_>)]) -> Phrase {
        self.lang.say(english, things)
    }

    /// Links that give a table of this page as CSV and JSON, with the page's own filters.
    pub(crate) fn downloads(&self, table: &'static str) -> Downloads {
        Downloads::new(&self.uri, table, self.lang)
    }

    /// This page with a query parameter set, and all others as they are.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        crate::address::with(&self.uri, &[(name, value)])
    }

    /// The same page with other parameters; empty ones go.
    pub(crate) fn with_all(&self, set: &[(&str, &str)]) -> String {
        crate::address::with(&self.uri, set)
    }

    /// A parameter of the page's address.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        crate::address::pairs(&self.uri).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Whether a part of the dashboard is the one shown.
    pub(crate) fn within(&self, path: &str) -> bool {
        match path {
            "/dashboard" => self.uri.path() == path || self.uri.path().starts_with("/dashboard/experiments"),
            _ => self.uri.path().starts_with(path),
        }
    }

    /// Whether the reader may change things.
    pub(crate) fn may_edit(&self) -> bool {
        self.person.as_ref().is_some_and(Person::may_edit)
    }

    /// What a form sends with it to show that it came from a page of ours.
    pub(crate) fn csrf(&self) -> &str {
        self.person.as_ref().map_or("", |p| &p.csrf)
    }
}

impl FromRequestParts<App> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let Preferences { lang, theme } = Preferences::of(&parts.headers);
        let person = parts.extensions.get::<Person>().cloned();
        let notice = app.notice.map(|notice| notice.text(lang));
        Ok(Self { notice, live: false, soon: false, lang, theme, person, uri: parts.uri.clone() })
    }
}
