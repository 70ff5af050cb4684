//! Inputs as the page shows them: with a label, a hint, what was typed and what is wrong with it.

use super::Form;
use super::fields::{GROUPS, group};
use crate::frame::Frame;
use askama::Template;
use askama::filters::HtmlSafe;

/// An input's control.
pub(crate) enum Control {
    Line,
    /// With what it is when left empty.
    Number(&'static str),
    Area,
    Code,
    Box,
    /// Values and labels.
    Choice(Vec<(&'static str, &'static str)>),
    /// Boxes of one name, the ticked ones first and in their order.
    Boxes(Vec<(&'static str, &'static str)>),
}

/// One input.
#[derive(Template)]
#[template(path = "input.html")]
pub(crate) struct Input<'a> {
    name: String,
    label: &'a str,
    hint: &'a str,
    text: &'a str,
    ticked: bool,
    control: Control,
    whys: Vec<&'a str>,
    /// The first with a mistake.
    focus: bool,
    locked: bool,
}

/// The template escapes.
impl HtmlSafe for Input<'_> {}

impl Input<'_> {
    fn described(&self) -> String {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let error = (!self.whys.is_empty()).then(|| format!("{}-error", self.name));
        [hint, error].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn is(&self, value: &str) -> bool {
        self.text == value
    }

    fn is_area(&self) -> bool {
        matches!(self.control, Control::Area | Control::Code)
    }

    fn is_code(&self) -> bool {
        matches!(self.control, Control::Code)
    }

    /// Whether a line of the text is `value`.
    fn has(&self, value: &str) -> bool {
        self.text.lines().any(|line| line == value)
    }

    /// Whether the text is something that is no option.
    fn strange(&self, options: &[(&str, &str)]) -> bool {
        !self.text.is_empty() && options.iter().all(|(value, _)| *value != self.text)
    }

    /// It may be read, not changed.
    pub(crate) fn locked(self, locked: bool) -> Self {
        Self { locked, ..self }
    }
}

/// Inputs whose names begin alike: a row of a group, or all that are there once.
pub(crate) struct Row<'a> {
    form: &'a Form,
    prefix: String,
    pub(crate) number: usize,
}

impl<'a> Row<'a> {
    fn input(&self, part: &str, control: Control, label: &'a str, hint: &'a str) -> Input<'a> {
        let name = format!("{}{part}", self.prefix);
        Input {
            label,
            hint,
            text: self.form.text(&name),
            ticked: self.form.texts.contains_key(&name),
            control,
            whys: self.form.whys(&name),
            focus: self.form.first_wrong() == Some(&name),
            locked: false,
            name,
        }
    }

    pub(crate) fn line(&self, part: &str, label: &'a str, hint: &'a str) -> Input<'a> {
        self.input(part, Control::Line, label, hint)
    }

    pub(crate) fn number(&self, part: &str, default: &'static str, label: &'a str, hint: &'a str) -> Input<'a> {
        self.input(part, Control::Number(default), label, hint)
    }

    pub(crate) fn area(&self, part: &str, label: &'a str, hint: &'a str) -> Input<'a> {
        self.input(part, Control::Area, label, hint)
    }

    pub(crate) fn code(&self, part: &str, label: &'a str, hint: &'a str) -> Input<'a> {
        self.input(part, Control::Code, label, hint)
    }

    pub(crate) fn tick(&self, part: &str, label: &'a str, hint: &'a str) -> Input<'a> {
        self.input(part, Control::Box, label, hint)
    }

    pub(crate) fn choice(
        &self,
        part: &str,
        options: impl Into<Vec<(&'static str, &'static str)>>,
        label: &'a str,
        hint: &'a str,
    ) -> Input<'a> {
        self.input(part, Control::Choice(options.into()), label, hint)
    }

    /// Boxes of one name. Those that are ticked keep their order.
    pub(crate) fn boxes(
        &self,
        part: &str,
        options: impl Into<Vec<(&'static str, &'static str)>>,
        label: &'a str,
        hint: &'a str,
    ) -> Input<'a> {
        let ticked: Vec<&str> = self.form.text(&format!("{}{part}", self.prefix)).lines().collect();
        let mut options: Vec<_> = options.into();
        options.sort_by_key(|(value, _)| ticked.iter().position(|t| t == value).unwrap_or(usize::MAX));
        self.input(part, Control::Boxes(options), label, hint)
    }

    /// Where the row was before the edit began: what it has that no input shows is kept by it.
    pub(crate) fn from(&self) -> &str {
        self.form.text(&format!("{}from", self.prefix))
    }

    /// What people call it.
    pub(crate) fn called(&self, part: &str) -> &str {
        self.form.text(&format!("{}{part}", self.prefix))
    }
}

impl Form {
    /// The inputs that are there once.
    pub(crate) fn once(&self) -> Row<'_> {
        Row { form: self, prefix: String::new(), number: 0 }
    }

    /// The rows of a group.
    pub(crate) fn rows(&self, name: &str) -> Vec<Row<'_>> {
        let count = group(name).map_or(0, |g| self.count(g.name));
        (0..count).map(|number| Row { form: self, prefix: format!("{name}[{number}]."), number }).collect()
    }

    /// What is wrong with the thing of a name.
    pub(crate) fn whys(&self, name: &str) -> Vec<&str> {
        self.mistakes.iter().filter(|m| m.place == name).map(|m| m.why.as_str()).collect()
    }

    /// The first thing with a mistake.
    pub(crate) fn first_wrong(&self) -> Option<&str> {
        self.mistakes.first().map(|m| m.place.as_str())
    }

    /// All mistakes, with the names that they are told at.
    pub(crate) fn wrong(&self) -> impl Iterator<Item = (&str, &str)> {
        self.mistakes.iter().map(|m| (m.place.as_str(), m.why.as_str()))
    }

    /// What no input shows, for the page to send back.
    pub(crate) fn rest(&self) -> String {
        serde_json::Value::Object(self.rest.clone()).to_string()
    }

    /// Whether there is room for another row.
    pub(crate) fn takes_more(&self, name: &str) -> bool {
        GROUPS.iter().any(|g| g.name == name && self.count(g.name) + 1 < g.most)
    }
}

/// The rules, as people call them.
pub(crate) fn policies(frame: &Frame) -> [(&'static str, &'static str); 7] {
    [
        ("thompson", frame.t("Thompson sampling")),
        ("top_two_thompson", frame.t("Top-two Thompson sampling: finds the best arm sooner")),
        ("epsilon_greedy", frame.t("Epsilon-greedy")),
        ("bayes_ucb", frame.t("Bayes-UCB")),
        ("fixed", frame.t("Fixed shares by weight: an A/B test")),
        ("logistic_thompson", frame.t("Contextual: logistic regression on features")),
        ("linear_thompson", frame.t("Contextual: linear regression on features")),
    ]
}
