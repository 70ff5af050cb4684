//! The form that searches decisions.

use crate::filter_field::{Control, FilterField};
use crate::lang::Lang;
use crate::sought::Sought;
use crate::wording;
use bandit::Source;

/// The fields that filter. An arm and a segment are an experiment's.
pub(super) fn fields(lang: Lang, sought: &Sought) -> Vec<FilterField<'_>> {
    let field = |name, hint, control| field(lang, sought, name, hint, control);
    let input = || Control::Input("text", "");
    let any = || ("", lang.t("any"));
    let mut fields = vec![
        field("experiment", "", Control::Input("text", "experiments")),
        field("user", "", input()),
        field("item", "", input()),
    ];
    if let Some(e) = &sought.experiment {
        if e.definition.candidates.is_none() {
            let arms = e.definition.arms.iter().map(|a| (a.id.as_str(), a.id.as_str()));
            fields.push(field("arm", "", Control::Select(std::iter::once(any()).chain(arms).collect())));
        }
        fields.push(field("segment", "", input()));
    } else {
        let wrong = |name: &&str| sought.error(name).is_some();
        fields.extend(["arm", "segment"].into_iter().filter(wrong).map(|name| field(name, "", input())));
    }
    let sources = [Source::Policy, Source::Holdout, Source::NotEnrolled, Source::Paused, Source::Fallback];
    let sources = sources.map(|s| (name(s), wording::source(lang, s)));
    fields.push(field("source", "", Control::Select(std::iter::once(any()).chain(sources).collect())));
    let answers = vec![any(), ("yes", lang.t("yes")), ("no", lang.t("no"))];
    fields.push(field("rewarded", "", Control::Select(answers)));
    fields.push(field("day", sought.zone().1, Control::Input("date", "")));
    fields.push(field("from", "", Control::Input("datetime-local", "")));
    fields.push(field("to", "", Control::Input("datetime-local", "")));
    fields
}

/// One of them, by its name in the query.
pub(super) fn field<'a>(
    lang: Lang,
    sought: &'a Sought,
    name: &'static str,
    hint: &'a str,
    control: Control<'a>,
) -> FilterField<'a> {
    let (value, error) = (sought.value(name), sought.error(name));
    FilterField { name, label: label(lang, name), value, error, hint, control }
}

/// What a filter is called.
pub(super) fn label(lang: Lang, field: &str) -> &'static str {
    match field {
        "experiment" => lang.t("Experiment"),
        "user" => lang.t("User"),
        "item" => lang.t("Item"),
        "arm" => lang.t("Arm"),
        "segment" => lang.t("Segment"),
        "source" => lang.t("Source"),
        "day" => lang.t("Day"),
        "from" => lang.t("From (UTC)"),
        "to" => lang.t("Before (UTC)"),
        "id" => lang.t("Decision id"),
        _ => lang.t("Rewarded"),
    }
}

/// A source as the API names it.
fn name(source: Source) -> &'static str {
    match source {
        Source::Policy => "policy",
        Source::Holdout => "holdout",
        Source::NotEnrolled => "not_enrolled",
        Source::Paused => "paused",
        Source::Fallback => "fallback",
    }
}
