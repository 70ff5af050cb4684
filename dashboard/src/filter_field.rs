//! A field of a form that filters: its label, what it says now, and what is wrong with that.

use crate::lang::Phrase;
use askama::Template;
use askama::filters::HtmlSafe;

/// One field.
#[derive(Template)]
#[template(path = "filter_field.html")]
pub(crate) struct FilterField<'a> {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) value: &'a str,
    pub(crate) error: Option<&'a Phrase>,
    pub(crate) hint: &'a str,
    pub(crate) control: Control<'a>,
}

/// By what its value is given.
pub(crate) enum Control<'a> {
    /// An input of a type, with the id of a list that suggests values, or none.
    Input(&'static str, &'static str),
    /// One of some values, each with its text; the first is for none.
    Select(Vec<(&'a str, &'a str)>),
}

/// The template escapes.
impl HtmlSafe for FilterField<'_> {}

impl FilterField<'_> {
    fn says(&self, option: &str) -> bool {
        self.value == option
    }

    /// Attributes that tie what is said of the field to it.
    fn described(&self) -> String {
        match (self.error.is_some(), self.hint.is_empty()) {
            (true, _) => format!(r#" aria-invalid="true" aria-describedby="e-{}""#, self.name),
            (false, false) => format!(r#" aria-describedby="h-{}""#, self.name),
            (false, true) => String::new(),
        }
    }
}
