//! The languages that pages speak. Templates hold the English text; `locales/ja/*.toml` hold what stands in its place.

use askama::filters::HtmlSafe;
use axum::http::{HeaderMap, header};
use std::collections::HashMap;
use std::fmt::{Display, Formatter, Write};
use std::sync::LazyLock;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lang {
    #[default]
    English,
    Japanese,
}

/// One file for each page: English text to Japanese.
const JAPANESE: &[&str] = &[
    include_str!("../locales/ja/frame.toml"),
    include_str!("../locales/ja/arms.toml"),
    include_str!("../locales/ja/edit.toml"),
    include_str!("../locales/ja/controls.toml"),
    include_str!("../locales/ja/experiments.toml"),
    include_str!("../locales/ja/decisions.toml"),
    include_str!("../locales/ja/decision.toml"),
    include_str!("../locales/ja/sign-in.toml"),
    include_str!("../locales/ja/pipeline.toml"),
    include_str!("../locales/ja/planner.toml"),
    include_str!("../locales/ja/what_if.toml"),
    include_str!("../locales/ja/experiment.toml"),
    include_str!("../locales/ja/catalogs.toml"),
    include_str!("../locales/ja/audit.toml"),
];

static TABLE: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let read = |file: &&str| toml::from_str::<HashMap<String, String>>(file);
    // A test reads every file; were one broken all the same, its page would stay English.
    JAPANESE.iter().filter_map(|file| read(file).ok()).flatten().collect()
});

impl Lang {
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::Japanese];

    /// Its tag, BCP 47.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    /// Its own name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Japanese => "日本語",
        }
    }

    pub(crate) fn of_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lang| lang.tag() == tag)
    }

    /// The first language of a browser that we speak, by the order it names them in.
    pub(crate) fn preferred(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let primary = |range: &str| range.trim().get(..2).map(str::to_ascii_lowercase);
        accepted.split(',').filter_map(primary).find_map(|tag| Self::of_tag(&tag)).unwrap_or_default()
    }

    /// A text in this language; one that nobody translated stays English.
    pub(crate) fn t(self, english: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Japanese => TABLE.get(english).map_or(english, String::as_str),
        }
    }

    /// A sentence with things in it: `{name}` stands for the one of that name. Names and other text of users are
    /// escaped and stand out; numbers and moments bring their own markup. (In templates the list is written without `&`.)
    pub(crate) fn say(self, english: &'static str, things: &[(&str, Thing<'_>)]) -> Phrase {
        let mut out = String::new();
        let (holes, end) = cut(self.t(english));
        for (before, name) in holes {
            escape(&mut out, before);
            if let Some((_, thing)) = things.iter().find(|(known, _)| *known == name) {
                thing.put(&mut out);
            }
        }
        escape(&mut out, end);
        Phrase(out)
    }
}

/// A text cut at its holes, `{name}`: what stands before each, and its name; and what stands after the last.
pub(crate) fn cut(text: &str) -> (Vec<(&str, &str)>, &str) {
    let (mut holes, mut rest) = (Vec::new(), text);
    while let Some((before, (name, after))) = rest.split_once('{').and_then(|(b, r)| Some((b, r.split_once('}')?))) {
        holes.push((before, name));
        rest = after;
    }
    (holes, rest)
}

/// A line that every page shows at its top, by whoever runs the dashboard.
#[derive(Debug, Clone, Copy)]
pub struct Notice {
    /// In English.
    pub english: &'static str,
    /// The same in Japanese.
    pub japanese: &'static str,
}

impl Notice {
    pub(crate) fn text(self, lang: Lang) -> &'static str {
        match lang {
            Lang::English => self.english,
            Lang::Japanese => self.japanese,
        }
    }
}

/// What may stand in a sentence.
pub(crate) enum Thing<'a> {
    /// Somebody's text, which may hold anything.
    Text(&'a str),
    /// What shows itself as HTML: a number, a moment.
    Shown(&'a dyn Display),
}

impl<'a> From<&'a str> for Thing<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a, T: Display + HtmlSafe> From<&'a T> for Thing<'a> {
    fn from(shown: &'a T) -> Self {
        Self::Shown(shown)
    }
}

impl Thing<'_> {
    fn put(&self, out: &mut String) {
        match self {
            Self::Text(text) => {
                out.push_str("<strong><bdi>");
                escape(out, text);
                out.push_str("</bdi></strong>");
            }
            // Writing to a string does not fail.
            Self::Shown(shown) => drop(write!(out, "{shown}")),
        }
    }
}

fn escape(out: &mut String, text: &str) {
    let _ = write!(
        out,
        "{}",
        askama::filters::escape(text, askama::filters::Html).map_or_else(|_| String::new(), |safe| safe.to_string())
    );
}

/// A sentence as HTML.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Phrase(String);

impl HtmlSafe for Phrase {}

impl Display for Phrase {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::format::Num;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn files(dir: &Path, ending: &str) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all.extend(files(&path, ending));
            } else if path.to_str().unwrap().ends_with(ending) {
                all.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
        all
    }

    /// The English texts of templates and code: literals that are given to `t(` or `say(`.
    fn used() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources = files(&root.join("src"), ".rs").into_iter().map(|(path, text)| {
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            (path, code)
        });
        let mut found = BTreeSet::new();
        for (_, text) in sources.chain(files(&root.join("templates"), ".html")) {
            for call in [".t(", ".say("] {
                for rest in text.split(call).skip(1) {
                    if let Some(literal) = rest.trim_start().strip_prefix('"') {
                        found.insert(unquoted(literal));
                    }
                }
            }
        }
        found
    }

    /// A literal that begins here.
    pub(crate) fn unquoted(literal: &str) -> String {
        let mut out = String::new();
        let mut chars = literal.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    Some('\n') => {
                        let rest = chars.as_str().trim_start();
                        chars = rest.chars();
                    }
                    Some(escaped) => out.push(escaped),
                    None => break,
                },
                other => out.push(other),
            }
        }
        out
    }

    fn holes(text: &str) -> BTreeSet<&str> {
        cut(text).0.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn every_text_has_its_japanese_and_every_translation_its_text() {
        let written = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("locales/ja"), ".toml");
        // Reasons are told elsewhere, and tested there.
        assert_eq!(written.len(), JAPANESE.len() + 1, "a file of translations is not compiled in");
        let (used, known) = (used(), TABLE.keys().cloned().collect::<BTreeSet<_>>());
        assert!(used.len() > 10, "{used:?}");
        assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "not translated");
        assert_eq!(known.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "used nowhere");
        let mut once = BTreeSet::new();
        for file in JAPANESE {
            for (english, japanese) in toml::from_str::<HashMap<String, String>>(file).unwrap() {
                assert_eq!(holes(&english), holes(&japanese), "{english}");
                assert!(once.insert(english.clone()), "two translations: {english}");
            }
        }
    }

    #[test]
    fn sentences_escape_what_is_not_ours() {
        let (hostile, n) = ("<b>&\u{202e}{n}", Num::count(1200));
        let phrase = Lang::English.say("{arm} & {n}", &[("arm", hostile.into()), ("n", (&n).into())]);
        assert_eq!(
            phrase.to_string(),
            "<strong><bdi>&#60;b&#62;&#38;\u{202e}{n}</bdi></strong> &#38; <data value=\"1200\">1,200</data>"
        );
    }

    #[test]
    fn the_browser_says_which() {
        let of = |accepted: &str| {
            Lang::preferred(&HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, accepted.parse().unwrap())]))
        };
        assert_eq!(
            (of("ja-JP,en;q=0.5"), of("fr,en"), of("fr"), of("é")),
            (Lang::Japanese, Lang::English, Lang::English, Lang::English)
        );
    }
}
