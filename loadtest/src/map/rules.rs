//! `PLACE:REGEX`: what the regex's named groups capture there are the fields of the request.

use super::places::Place;
use super::render::Fields;
use crate::read::Entry;
use regex::Regex;

/// A field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Experiment,
    User,
    Item,
    Context(String),
    Name,
    Value,
}

impl std::str::FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.split_once('.').unwrap_or((text, "")) {
            ("experiment", "") => Self::Experiment,
            ("user", "") => Self::User,
            ("item", "") => Self::Item,
            ("name", "") => Self::Name,
            ("value", "") => Self::Value,
            ("context", name) if !name.is_empty() => Self::Context(name.to_owned()),
            _ => {
                return Err(format!(
                    "'{text}' is no field: experiment, user, item or context.NAME (for rewards name and value, too)"
                ));
            }
        })
    }
}

/// A place and a regex whose groups are named like fields.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    place: Place,
    regex: Regex,
    groups: Vec<(usize, Field)>,
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = "PLACE:REGEX, as in 'path:^/p/(?<item>[^/]+)'";
        let (place, regex) = text.split_once(':').ok_or_else(|| format!("a rule is {shape}"))?;
        let place = place.parse().map_err(|why| format!("a rule is {shape}; it {why}"))?;
        let regex = Regex::new(regex).map_err(|e| {
            let lines = e.to_string();
            lines.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
        let groups = regex.capture_names().enumerate().filter_map(|(at, name)| Some((at, name?)));
        let groups = groups.map(|(at, name)| Ok((at, name.parse()?))).collect::<Result<Vec<_>, String>>()?;
        Ok(Self { place, regex, groups })
    }
}

/// `FIELD=VALUE`, for every request that does not get the field from a rule.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    field: Field,
    value: String,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, value) = text.split_once('=').ok_or("is FIELD=VALUE, as in experiment=product-page")?;
        Ok(Self { field: field.parse()?, value: value.to_owned() })
    }
}

/// All rules of one kind; the first that captures a field gives it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) settings: Vec<Setting>,
}

impl Rules {
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What is captured; none if a rule without groups, which is a condition, does not match, if there are rules for
    /// the path and none of them does, or if nothing does.
    pub(super) fn fields(&self, entry: &Entry<'_>) -> Option<Fields> {
        let (fields, meant) = self.captured(entry);
        meant.then_some(fields)
    }

    /// What is captured, and whether the rules mean this entry.
    pub(super) fn captured(&self, entry: &Entry<'_>) -> (Fields, bool) {
        let mut fields = Fields::default();
        let is_path = |rule: &&Rule| rule.place == Place::Path && !rule.groups.is_empty();
        // The path says what page it was; other places tell of its visitor.
        let mut page = !self.rules.iter().any(|rule| is_path(&rule));
        let mut matched = self.rules.iter().all(|rule| rule.groups.is_empty());
        let mut conditions = true;
        for rule in &self.rules {
            let place = rule.place.find(entry);
            if rule.groups.is_empty() {
                conditions &= place.is_some_and(|text| rule.regex.is_match(&text));
                continue;
            }
            let Some(captures) = place.as_deref().and_then(|text| rule.regex.captures(text)) else { continue };
            matched = true;
            page |= rule.place == Place::Path;
            for (group, field) in &rule.groups {
                if let Some(value) = captures.get(*group).filter(|value| !value.is_empty()) {
                    fields.offer(field, value.as_str());
                }
            }
        }
        self.defaults(&mut fields);
        (fields, page && matched && conditions)
    }

    pub(super) fn defaults(&self, fields: &mut Fields) {
        for setting in &self.settings {
            fields.offer(&setting.field, &setting.value);
        }
    }
}

impl Fields {
    fn offer(&mut self, field: &Field, value: &str) {
        let place = match field {
            Field::Experiment => &mut self.experiment,
            Field::User => &mut self.user,
            Field::Item => &mut self.item,
            Field::Name => &mut self.name,
            Field::Value => &mut self.value,
            Field::Context(name) => {
                if !self.context.iter().any(|(known, _)| known == name) {
                    self.context.push((name.clone(), value.to_owned()));
                }
                return;
            }
        };
        place.get_or_insert_with(|| value.to_owned());
    }

    /// Takes what is missing from other fields.
    pub(super) fn fill(&mut self, other: Self) {
        self.experiment = self.experiment.take().or(other.experiment);
        self.user = self.user.take().or(other.user);
        self.item = self.item.take().or(other.item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            method: "GET".into(),
            target: "/p/blue%20shoe?uid=u%2B1&exp=page".into(),
            client: "10.0.0.9".into(),
            headers: vec![("cookie".into(), "a=b; sid=\"s7\"".into()), ("user-agent".into(), "Mozilla Mobile".into())],
            ..Entry::default()
        }
    }

    fn rules(rules: &[&str], settings: &[&str]) -> Rules {
        Rules {
            rules: rules.iter().map(|r| r.parse().unwrap()).collect(),
            settings: settings.iter().map(|s| s.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn every_place_gives_fields() {
        for (rule, item) in [
            ("path:^/p/(?<item>[^/]+)", "blue shoe"),
            ("query.uid:(?<item>.+)", "u+1"),
            ("cookie.sid:(?<item>.+)", "s7"),
            ("header.User-Agent:(?i)(?<item>mobile)", "Mobile"),
            ("client:(?<item>.+)", "10.0.0.9"),
            ("method:(?<item>GET)", "GET"),
        ] {
            assert_eq!(rules(&[rule], &[]).fields(&entry()).unwrap().item.as_deref(), Some(item), "{rule}");
        }
    }

    #[test]
    fn the_first_rule_wins_then_the_settings() {
        let both = rules(
            &[
                "cookie.none:(?<user>.+)",
                "cookie.sid:(?<user>.+)",
                "client:(?<user>.+)",
                "header.user-agent:(?<context.device>Mobile)",
            ],
            &["experiment=page", "user=nobody", "context.device=desktop"],
        );
        let got = both.fields(&entry()).unwrap();
        assert_eq!((got.user.as_deref(), got.experiment.as_deref()), (Some("s7"), Some("page")));
        assert_eq!(got.context, [("device".to_owned(), "Mobile".to_owned())]);
    }

    #[test]
    fn a_rule_without_groups_is_a_condition() {
        assert!(rules(&["path:^/q/", "client:(?<user>.+)"], &[]).fields(&entry()).is_none());
        assert!(rules(&["path:^/p/", "client:(?<user>.+)"], &[]).fields(&entry()).is_some());
        assert!(rules(&["path:^/q/(?<item>.+)", "client:(?<user>.+)"], &[]).fields(&entry()).is_none());
        assert!(rules(&["path:^/q/(?<item>.+)", "path:^/p/(?<item>.+)"], &["user=u"]).fields(&entry()).is_some());
    }

    #[test]
    fn bad_rules_say_why() {
        for (rule, why) in [
            ("nothing", "PLACE:REGEX"),
            ("query:(?<user>.)", "query.NAME:"),
            ("path:(", "unclosed group"),
            ("path:(?<usr>.)", "'usr' is no field"),
        ] {
            let got = rule.parse::<Rule>().unwrap_err();
            assert!(got.contains(why) && !got.contains('\n'), "{rule}: {got}");
        }
    }
}
