//! A browser's view of a form.

use crate::house::{House, Reply};
use axum::body::Body;
use axum::http::Request;

/// Text without entities.
pub(crate) fn text(html: &str) -> String {
    let entities = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    entities.iter().fold(html.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    Some(text(rest.split('"').next().unwrap()))
}

/// What would be sent of the form of a definition, without a button.
pub(crate) fn fields(html: &str) -> Vec<(String, String)> {
    let form = html.split("<form class=\"definition\"").nth(1).unwrap().split("</form>").next().unwrap();
    let mut pairs = Vec::new();
    let mut select: Option<(String, Option<String>)> = None;
    for part in form.split('<').skip(1) {
        let (tag, rest) = part.split_once('>').unwrap();
        let named = |value: String| attribute(tag, "name").map(|name| (name, value));
        match tag.split_whitespace().next().unwrap() {
            "input" if tag.contains("type=\"checkbox\"") => {
                let value = attribute(tag, "value").unwrap_or_else(|| "on".into());
                pairs.extend(named(value).filter(|_| tag.contains(" checked")));
            }
            "input" => pairs.extend(named(attribute(tag, "value").unwrap_or_default())),
            "textarea" => pairs.extend(named(text(rest.strip_prefix('\n').unwrap_or(rest)))),
            "select" => select = attribute(tag, "name").map(|name| (name, None)),
            "option" => {
                let (_, chosen) = select.as_mut().unwrap();
                if chosen.is_none() || tag.contains(" selected") {
                    *chosen = attribute(tag, "value");
                }
            }
            "/select" => pairs.extend(select.take().map(|(name, chosen)| (name, chosen.unwrap()))),
            _ => {}
        }
    }
    pairs
}

/// Types something.
pub(crate) fn set(pairs: &mut [(String, String)], name: &str, value: &str) {
    match pairs.iter_mut().find(|(known, _)| known == name) {
        Some(pair) => pair.1 = value.into(),
        None => panic!("there is no input {name}"),
    }
}

/// What requests that send a form are called.
pub(crate) const REQUEST: &str = "sent-form";

/// Sends it by a button.
pub(crate) async fn post(house: &House, path: &str, pairs: &[(String, String)], wish: &str) -> Reply {
    post_in(house, "en", path, pairs, wish).await
}

/// The same, by who reads a language.
pub(crate) async fn post_in(house: &House, lang: &str, path: &str, pairs: &[(String, String)], wish: &str) -> Reply {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(pairs);
    if !wish.is_empty() {
        body.append_pair("do", wish);
    }
    let request = Request::post(path)
        .header("host", "shop.example:8080")
        .header("x-request-id", REQUEST)
        .header("accept-language", lang)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body.finish()))
        .unwrap();
    house.send(request).await
}

/// The text of the `code` with an id.
pub(crate) fn shown(html: &str, id: &str) -> String {
    text(html.split(&format!("<code id=\"{id}\">")).nth(1).unwrap().split("</code>").next().unwrap())
}
