//! The items of a catalog on a plane, with a visitor or an item among them.

use super::{Figure, Style, layout};
use crate::app::App;
use crate::catalogs::{InCatalog, cut, usual};
use crate::failure::Failure;
use crate::frame::Frame;
use crate::pages::{explained, wanted_items};
use crate::work::computed;
use plotly::Scatter;
use plotly::common::{Line, Marker, MarkerSymbol, Mode};
use plotly::layout::{Axis, HoverMode};
use recommend::{Placed, Projection};
use std::collections::BTreeMap;

/// Items on the map, evenly spread over all.
const POINTS: usize = 1_000;
/// Tags with a look of their own.
const TAGS: usize = 6;
/// Characters of names.
const NAME: usize = 24;
/// Views and items of a list that are shown.
const HIGHLIGHTED: usize = 50;
/// Related items of an item.
const RELATED: usize = 10;

const SYMBOLS: [MarkerSymbol; TAGS + 1] = [
    MarkerSymbol::Circle,
    MarkerSymbol::Square,
    MarkerSymbol::Diamond,
    MarkerSymbol::TriangleUp,
    MarkerSymbol::Cross,
    MarkerSymbol::TriangleDown,
    MarkerSymbol::CircleOpen,
];

type Points = Vec<(String, [f64; 2])>;

/// Points that stand out: what they are, and how they look.
struct Group {
    name: &'static str,
    points: Points,
    symbol: MarkerSymbol,
    colour: &'static str,
    size: usize,
}

/// The map with what the query names: `user` and `k`, or `item`.
pub(super) async fn figure(app: &App, frame: &Frame, catalog: &InCatalog) -> Result<Figure, Failure> {
    let lang = frame.lang;
    let Some(map) = app.stores.list_hours.map(&catalog.id).await? else {
        return Ok(Figure::empty(lang.t("The updater has not drawn it yet.")));
    };
    let plane = map.projection;
    let groups = match (frame.parameter("user"), frame.parameter("item")) {
        (Some(user), _) if bandit::check_id(&user).is_ok() => {
            let k = wanted_items(frame).ok_or_else(Failure::page)?;
            of_visitor(app, frame, catalog, &plane, &user, k).await?
        }
        (_, Some(item)) => of_item(app, frame, catalog, &plane, &item)?,
        _ => Vec::new(),
    };
    let (candidates, now) = (catalog.candidates.clone(), app.now());
    let sample = computed(move || candidates.sample(POINTS, now, |vector| plane.place(vector))).await?;
    let mut data = crowd(sample, lang.t("other tags"), lang.t("no tag"), groups.is_empty());
    data.extend(groups.into_iter().filter(|g| !g.points.is_empty()).map(stand_out));
    let axis = || Axis::new().zero_line(false);
    let layout = layout(axis(), axis().title(lang.t("Second component")), lang.t("First component"));
    Ok(Figure::new(data, layout.hover_mode(HoverMode::Closest)))
}

async fn of_visitor(
    app: &App,
    frame: &Frame,
    catalog: &InCatalog,
    plane: &Projection,
    user: &str,
    k: usize,
) -> Result<Vec<Group>, Failure> {
    let lang = frame.lang;
    let known = explained(app, catalog, user, k).await?;
    let seen = known.seen.iter().take(HIGHLIGHTED).map(|s| s.item.as_str());
    let list = known.told.list.items.iter().take(HIGHLIGHTED).map(|c| &*c.id);
    let vector = known.told.vector.as_ref().and_then(|v| plane.place(v));
    Ok(vec![
        group(lang.t("Looked at"), placed(catalog, plane, seen), MarkerSymbol::DiamondOpen, "#d55e00", 12),
        group(lang.t("In the list"), placed(catalog, plane, list), MarkerSymbol::CircleOpen, "#0072b2", 13),
        Group {
            name: lang.t("Their vector"),
            points: vector.map(|at| (String::new(), at)).into_iter().collect(),
            symbol: MarkerSymbol::Star,
            colour: "#d55e00",
            size: 18,
        },
    ])
}

fn of_item(
    app: &App,
    frame: &Frame,
    catalog: &InCatalog,
    plane: &Projection,
    item: &str,
) -> Result<Vec<Group>, Failure> {
    let lang = frame.lang;
    let related = catalog.candidates.related(item, &usual(app.now(), RELATED));
    let related = related.ok_or_else(|| Failure::NoItem(item.to_owned()))?;
    let near = placed(catalog, plane, related.iter().map(|c| &*c.id));
    Ok(vec![
        group(lang.t("Related items"), near, MarkerSymbol::CircleOpen, "#0072b2", 13),
        group(lang.t("This item"), placed(catalog, plane, [item].into_iter()), MarkerSymbol::Star, "#d55e00", 18),
    ])
}

fn group(name: &'static str, points: Points, symbol: MarkerSymbol, colour: &'static str, size: usize) -> Group {
    Group { name, points, symbol, colour, size }
}

fn placed<'a>(catalog: &InCatalog, plane: &Projection, ids: impl Iterator<Item = &'a str>) -> Points {
    ids.filter_map(|id| Some((cut(id, NAME), plane.place(&catalog.candidates.vector(id)?)?))).collect()
}

/// Items by the commonest of their tags, the tags with most items first.
fn crowd(sample: Vec<Placed<[f64; 2]>>, others: &str, none: &str, alone: bool) -> Vec<Scatter<f64, f64>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in sample.iter().flat_map(|item| &item.tags) {
        *counts.entry(tag).or_default() += 1;
    }
    let mut common: Vec<(&str, usize)> = counts.into_iter().collect();
    common.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    common.truncate(TAGS);
    let mut parts: Vec<(String, Points)> = common.iter().map(|(tag, _)| (cut(tag, NAME), Vec::new())).collect();
    parts.push((if common.is_empty() { none } else { others }.to_owned(), Vec::new()));
    for item in &sample {
        let part = common.iter().position(|(tag, _)| item.tags.iter().any(|own| **own == **tag));
        parts[part.unwrap_or(common.len())].1.push((cut(&item.id, NAME), item.place));
    }
    let last = parts.len() - 1;
    let trace = |(i, (name, points)): (usize, (String, Points))| {
        let style = if i == last { 6 } else { i };
        let marker = Marker::new().color(Style::of(style).colour()).symbol(SYMBOLS[style].clone()).size(8);
        // Who looks for one among them sees the others behind it.
        scatter(&name, points, marker.opacity(if alone { 0.8 } else { 0.35 }))
    };
    parts.into_iter().enumerate().filter(|(_, (_, points))| !points.is_empty()).map(trace).collect()
}

fn stand_out(group: Group) -> Scatter<f64, f64> {
    let marker = Marker::new().color(group.colour).symbol(group.symbol).size(group.size);
    scatter(group.name, group.points, marker.line(Line::new().color(group.colour).width(2.5)))
}

fn scatter(name: &str, points: Points, marker: Marker) -> Scatter<f64, f64> {
    let (names, places): (Vec<String>, Vec<[f64; 2]>) = points.into_iter().unzip();
    *Scatter::new(places.iter().map(|p| p[0]).collect(), places.iter().map(|p| p[1]).collect::<Vec<f64>>())
        .name(name)
        .mode(Mode::Markers)
        .marker(marker)
        .text_array(names)
        .hover_template("%{text}<extra>%{fullData.name}</extra>")
}
