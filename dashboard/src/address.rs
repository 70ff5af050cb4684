//! Addresses of pages: every view has one, with its filters and ranges in the query.

use axum::http::{HeaderMap, Uri, header};

/// The query's parameters, decoded, in order.
pub(crate) fn pairs(uri: &Uri) -> Vec<(String, String)> {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// A page's address with some parameters set; an empty value leaves one out.
pub(crate) fn with(uri: &Uri, set: &[(&str, &str)]) -> String {
    let mut all = pairs(uri);
    all.retain(|(name, _)| !set.iter().any(|(other, _)| other == name));
    all.extend(set.iter().filter(|(_, value)| !value.is_empty()).map(|(n, v)| ((*n).into(), (*v).into())));
    join(uri.path(), &all)
}

/// A page's address without some parameters.
pub(crate) fn without(uri: &Uri, names: &[&str]) -> String {
    let mut all = pairs(uri);
    all.retain(|(name, _)| !names.contains(&name.as_str()));
    join(uri.path(), &all)
}

fn join(path: &str, pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return path.into();
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    format!("{path}?{}", query.finish())
}

/// The host that the browser asked for, if a shell can take it as it is.
pub(crate) fn host(headers: &HeaderMap) -> String {
    let asked = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let plain = |h: &&str| !h.is_empty() && h.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
    asked.filter(plain).unwrap_or("127.0.0.1:8080").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_set_and_left_out() {
        let uri: Uri = "/dashboard?q=a%20%26b&after=x".parse().unwrap();
        assert_eq!(with(&uri, &[("after", ""), ("table", "é")]), "/dashboard?q=a+%26b&table=%C3%A9");
        assert_eq!(with(&uri, &[("q", "")]), "/dashboard?after=x");
        assert_eq!(without(&uri, &["q", "after"]), "/dashboard");
    }
}
