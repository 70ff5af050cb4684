//! The items that lists are made of.

use super::table::Cells;
use super::{Fault, RecommendationsArgs, RecommendationsError};
use crate::import::Shown;
use crate::import::progress::Progress;
use crate::import::source::Source;
use embed::{Model, StaticModel};
use jiff::Timestamp;
use recommend::index::{Index, unit};
use recommend::{CatalogDefinition, check_vector};
use std::collections::HashMap;

/// Most items.
const MOST: usize = 1_000_000;

/// Items as the file has them, one place each.
pub(super) struct Raw {
    pub(super) dimension: usize,
    ids: HashMap<String, u32>,
    vectors: Vec<Vec<f32>>,
    tags: Vec<Vec<u32>>,
    from: Vec<Timestamp>,
}

/// Items by slot, from 0 on.
pub(super) struct Items {
    pub(super) ids: HashMap<String, u32>,
    /// Vectors as the catalog's index holds them.
    pub(super) index: Index,
    /// Vectors at length 1, or zeros.
    pub(super) directions: Vec<Vec<f32>>,
    pub(super) tags: Vec<Vec<u32>>,
    /// From when on each may be in a list.
    pub(super) from: Vec<Timestamp>,
}

impl Items {
    pub(super) fn new(raw: Raw, catalog: &CatalogDefinition) -> Self {
        let mut index = Index::new(catalog.dimension, catalog.metric);
        for (slot, vector) in (0..).zip(&raw.vectors) {
            index.insert(slot, vector);
        }
        let zeros = || vec![0.0; catalog.dimension];
        let directions = raw.vectors.iter().map(|v| unit(v).unwrap_or_else(zeros)).collect();
        Self { ids: raw.ids, index, directions, tags: raw.tags, from: raw.from }
    }

    pub(super) fn len(&self) -> usize {
        self.directions.len()
    }
}

/// Where in a row things are.
struct Layout {
    columns: Vec<String>,
    /// Of the vector, or of the first text.
    content: usize,
    texts: usize,
    tags: Option<usize>,
    marks: usize,
    from: Option<usize>,
}

impl Layout {
    fn new(args: &RecommendationsArgs, source: &Source) -> Result<Self, RecommendationsError> {
        let content: Vec<(&str, &'static str)> = match args.static_model {
            Some(_) => args.text.iter().map(|c| (c.as_str(), "text")).collect(),
            None => vec![(&args.vector, "vector, or --static-model with --text")],
        };
        let mut columns = vec![(args.id.as_str(), "id")];
        let (at, texts) = (columns.len(), content.len());
        columns.extend(content);
        let marks = columns.len();
        columns.extend(args.tag_columns.iter().map(|c| (c.as_str(), "tag-columns")));
        let from = args.items_at.as_ref().map(|_| columns.len());
        columns.extend(args.items_at.iter().map(|c| (c.as_str(), "items-at")));
        let mut named: Vec<&str> = columns.iter().map(|(column, _)| *column).collect();
        named.push(&args.tags);
        let there = source.columns(&named)?;
        let has = |column: &str| there.names.iter().any(|n| n == column);
        if let Some((column, setting)) = columns.iter().find(|(column, _)| !has(column)) {
            let there = there.names.join(", ");
            let (path, column) = (source.path().into(), (*column).to_owned());
            return Err(RecommendationsError::NoColumn { path, column, setting, there });
        }
        let mut columns: Vec<String> = columns.into_iter().map(|(column, _)| column.to_owned()).collect();
        let tags = has(&args.tags).then_some(columns.len());
        columns.extend(tags.map(|_| args.tags.clone()));
        Ok(Self { columns, content: at, texts, tags, marks, from })
    }
}

/// Reads the items, with their vectors.
pub(super) fn read(args: &RecommendationsArgs, progress: Progress) -> Result<Raw, RecommendationsError> {
    let path = args.items.as_path();
    let source = Source::open(path, args.items_input, progress)?;
    let layout = Layout::new(args, &source)?;
    let model = args.static_model.as_deref().map(StaticModel::open).transpose()?;
    let mut names: HashMap<String, u32> = HashMap::new();
    let mut raw = Raw {
        dimension: model.as_ref().map_or(0, Model::dimension),
        ids: HashMap::new(),
        vectors: Vec::new(),
        tags: Vec::new(),
        from: Vec::new(),
    };
    let mut catalog: Option<CatalogDefinition> = None;
    for row in source.rows(&layout.columns, "items")? {
        let cells = Cells::of(path, &layout.columns, row?)?;
        let id = cells.need(0)?;
        let slot = u32::try_from(raw.ids.len()).unwrap_or(u32::MAX);
        if raw.ids.insert(id.to_owned(), slot).is_some() {
            return Err(cells.refuse(0, Fault::Twice(Shown::new(id))));
        }
        let tags = tags(args, &layout, &cells)?;
        let vector = match &model {
            Some(model) => embed(args, model, &layout, &cells, &tags)?,
            None => array(&cells, layout.content)?,
        };
        if catalog.is_none() {
            raw.dimension = vector.len();
            catalog = Some(super::Setup::of(args, vector.len())?.catalog);
        }
        if let Some(catalog) = &catalog {
            let check = check_vector(catalog, &vector);
            check.map_err(|e| cells.refuse(layout.content, Fault::Item(e)))?;
        }
        raw.vectors.push(vector);
        let mut numbers: Vec<u32> = Vec::new();
        for tag in tags {
            let next = u32::try_from(names.len()).unwrap_or(u32::MAX);
            let number = *names.entry(tag).or_insert(next);
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        raw.tags.push(numbers);
        raw.from.push(match layout.from {
            Some(column) if cells.text(column)?.is_some() => cells.moment(column)?,
            _ => Timestamp::MIN,
        });
        if raw.ids.len() > MOST {
            return Err(RecommendationsError::TooMany { path: path.into(), what: "items", most: MOST });
        }
    }
    source.unchanged()?;
    if raw.ids.is_empty() { Err(RecommendationsError::NoItems { path: path.into() }) } else { Ok(raw) }
}

fn tags(args: &RecommendationsArgs, layout: &Layout, cells: &Cells<'_>) -> Result<Vec<String>, RecommendationsError> {
    let mut tags = Vec::new();
    for (column, name) in (layout.marks..).zip(&args.tag_columns) {
        if cells.mark(column)? {
            tags.push(name.clone());
        }
    }
    let Some(column) = layout.tags else { return Ok(tags) };
    match cells.list(column)? {
        None => {}
        Some(text) if text.starts_with('[') => {
            let list: Result<Vec<String>, _> = serde_json::from_str(text);
            tags.extend(list.map_err(|_| cells.refuse(column, Fault::Tags(Shown::new(text))))?);
        }
        Some(text) => tags.extend(text.split('|').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty())),
    }
    Ok(tags)
}

fn array(cells: &Cells<'_>, column: usize) -> Result<Vec<f32>, RecommendationsError> {
    let text = cells.list(column)?.ok_or_else(|| cells.refuse(column, Fault::Empty))?;
    serde_json::from_str(text)
        .map_err(|e| cells.refuse(column, Fault::Vector { value: Shown::new(text), why: e.to_string() }))
}

fn embed(
    args: &RecommendationsArgs,
    model: &StaticModel,
    layout: &Layout,
    cells: &Cells<'_>,
    tags: &[String],
) -> Result<Vec<f32>, RecommendationsError> {
    let mut texts: Vec<&str> = Vec::new();
    for column in layout.content..layout.content + layout.texts {
        texts.extend(cells.text(column)?);
    }
    if args.tags_are_text {
        texts.extend(tags.iter().map(String::as_str));
    }
    let text = texts.join(", ");
    model.vector(&text).ok_or_else(|| cells.refuse(layout.content, Fault::Text(Shown::new(&text))))
}
