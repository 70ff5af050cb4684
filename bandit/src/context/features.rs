//! Contexts as vectors: what each declared feature's values become, learnt from the evidence.
//!
//! Column 0 is the intercept. A numeric feature is one column, (x − mean) / sd held to ±10, 0 where it is absent, and a
//! second one that says "absent" if some trials had it and others not: being absent seldom is by chance. A categorical
//! feature is a column for each value seen often enough, its absence among them, and all zeros for any other: with the
//! prior's ridge, zeros are the expected category, which is all that can be said of one never seen.

use crate::experiment::{Feature, FeatureKind};
use crate::segment::{Context, ContextValue};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

/// Most columns of an encoding, the intercept included.
pub const MAX_COLUMNS: usize = 256;
/// Most declared features: their columns fit at every number of arms, even if each needs two.
pub const MAX_FEATURES: usize = 40;
/// Most numbers of a model: columns × columns / 2 × arms. Beyond it, rare categories get no column.
const MAX_NUMBERS: usize = 400_000;
/// Most values of one categorical feature with a column.
const MAX_VALUES: usize = 64;
/// Weighted trials from which a value gets a column.
const OFTEN: f64 = 10.0;
/// Furthest standardised value: what is further out says no more, so that a made-up number has bounded leverage.
const FURTHEST: f64 = 10.0;
/// Furthest number read at all: its square is finite, and so is the sum of many.
const LARGEST: f64 = 1e100;

/// A sparse row: column and value, ascending, the intercept first.
pub(crate) type Row = Vec<(u32, f64)>;

/// How contexts become vectors.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Encoder {
    features: Vec<Encoding>,
}

/// How one feature's values become columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Encoding {
    /// One column, and one for absence if `absent`.
    Numeric {
        /// Key in the context.
        name: String,
        /// Mean of the values seen.
        mean: f64,
        /// Their standard deviation; 0 if they were all the same, and then the column is 0.
        sd: f64,
        /// Whether absence has a column.
        absent: bool,
    },
    /// One column for each value; text is empty where the attribute is absent.
    Categorical {
        /// Key in the context.
        name: String,
        /// Values with a column, in its order.
        values: Vec<String>,
    },
}

impl Encoding {
    fn columns(&self) -> usize {
        match self {
            Self::Numeric { absent, .. } => 1 + usize::from(*absent),
            Self::Categorical { values, .. } => values.len(),
        }
    }
}

/// The declared features' values of a context, and nothing else: what the log keeps of it.
#[must_use]
pub fn declared_features(features: &[Feature], context: &Context) -> Context {
    features.iter().filter_map(|f| context.get(&f.name).map(|v| (f.name.clone(), v.clone()))).collect()
}

/// Most columns for a model of this many arms.
pub(crate) fn most_columns(arms: usize) -> usize {
    let budget = 2 * MAX_NUMBERS / arms.max(1);
    (1..=MAX_COLUMNS).take_while(|d| d * (d + 3) <= budget).last().unwrap_or(1)
}

/// The number that a value means, if it means a finite one; true is 1. A query string brings numbers as text.
fn number(value: Option<&ContextValue>) -> Option<f64> {
    let x = match value? {
        ContextValue::Bool(b) => f64::from(u8::from(*b)),
        ContextValue::Number(n) => n.as_f64()?,
        ContextValue::Text(text) => text.trim().parse().ok()?,
    };
    x.is_finite().then(|| x.clamp(-LARGEST, LARGEST))
}

/// The category that a value names: a number by its text, an absent one by the empty text.
fn category(value: Option<&ContextValue>) -> Cow<'_, str> {
    match value {
        None => "".into(),
        Some(ContextValue::Text(text)) => text.as_str().into(),
        Some(ContextValue::Bool(true)) => "true".into(),
        Some(ContextValue::Bool(false)) => "false".into(),
        Some(ContextValue::Number(n)) => n.to_string().into(),
    }
}

impl Encoder {
    /// Learns an encoding of at most `most` columns from contexts and their weights (weighted trials). Sums run in the
    /// order given.
    pub(crate) fn learn(features: &[Feature], seen: &[(&Context, f64)], most: usize) -> Self {
        let mut encodings: Vec<Encoding> = features
            .iter()
            .map(|f| match f.kind {
                FeatureKind::Numeric => numeric(&f.name, seen),
                FeatureKind::Categorical => Encoding::Categorical { name: f.name.clone(), values: Vec::new() },
            })
            .collect();
        let numeric: usize = encodings.iter().map(Encoding::columns).sum();
        // The values seen most get the columns that are left; among equals, the first by feature and text.
        let mut all: Vec<(f64, usize, String)> = Vec::new();
        for (i, f) in features.iter().enumerate().filter(|(_, f)| f.kind == FeatureKind::Categorical) {
            let mut weights: BTreeMap<Cow<'_, str>, f64> = BTreeMap::new();
            for (context, weight) in seen {
                *weights.entry(category(context.get(&f.name))).or_default() += weight;
            }
            let mut often: Vec<_> = weights.into_iter().filter(|(_, w)| *w >= OFTEN).collect();
            often.sort_by(|a, b| b.1.total_cmp(&a.1));
            often.truncate(MAX_VALUES);
            // One value alone tells nothing that the intercept does not.
            if often.len() > 1 {
                all.extend(often.into_iter().map(|(value, weight)| (weight, i, value.into_owned())));
            }
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, &a.2).cmp(&(b.1, &b.2))));
        all.truncate(most.saturating_sub(1 + numeric));
        for (_, i, value) in all {
            if let Encoding::Categorical { values, .. } = &mut encodings[i] {
                values.push(value);
            }
        }
        Self { features: encodings }
    }

    /// Length of a vector, the intercept included.
    #[must_use]
    pub fn columns(&self) -> usize {
        1 + self.features.iter().map(Encoding::columns).sum::<usize>()
    }

    /// For every column the feature it belongs to, from 1; 0 is the intercept.
    pub(crate) fn groups(&self) -> Vec<usize> {
        let of = |(g, e): (usize, &Encoding)| std::iter::repeat_n(g + 1, e.columns());
        std::iter::once(0).chain(self.features.iter().enumerate().flat_map(of)).collect()
    }

    /// Whether its numbers are ones that [`Encoder::learn`] may write.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |e: &Encoding| match e {
            Encoding::Numeric { mean, sd, .. } => mean.is_finite() && sd.is_finite() && *sd >= 0.0,
            Encoding::Categorical { .. } => true,
        };
        self.features.iter().all(sound) && self.columns() <= MAX_COLUMNS
    }

    /// Ready to encode.
    pub(crate) fn compile(&self) -> Columns {
        let mut next = 1u32;
        let mut take = |n: usize| {
            let first = next;
            next += u32::try_from(n).unwrap_or(u32::MAX - next);
            first
        };
        let places = self
            .features
            .iter()
            .map(|e| {
                let first = take(e.columns());
                match e {
                    Encoding::Numeric { name, mean, sd, absent } => {
                        let scale = if *sd > 0.0 { sd.recip() } else { 0.0 };
                        Place::Numeric { name: name.clone(), first, mean: *mean, scale, absent: *absent }
                    }
                    Encoding::Categorical { name, values } => Place::Categorical {
                        name: name.clone(),
                        columns: values.iter().cloned().zip(first..).collect(),
                    },
                }
            })
            .collect();
        Columns { places }
    }
}

/// Mean and standard deviation in two passes, of values drawn in to what is usual: contexts come from pages, and a few made-up
/// numbers or sentinels must not set everybody's scale.
fn numeric(name: &str, seen: &[(&Context, f64)]) -> Encoding {
    let mut values: Vec<(f64, f64)> = seen.iter().filter_map(|(c, w)| number(c.get(name)).map(|x| (x, *w))).collect();
    let present: f64 = values.iter().map(|(_, w)| w).sum();
    let missing: f64 = seen.iter().map(|(_, w)| w).sum::<f64>() - present;
    let [low, high] = usual(&mut values, present);
    values.iter_mut().for_each(|(x, _)| *x = x.clamp(low, high));
    let largest = values.iter().map(|(x, _)| x.abs()).fold(0.0, f64::max);
    let mean = if present > 0.0 { values.iter().map(|(x, w)| w * x).sum::<f64>() / present } else { 0.0 };
    let squares: f64 = values.iter().map(|(x, w)| w * (x - mean) * (x - mean)).sum();
    let sd = if present > 0.0 { (squares / present).sqrt() } else { 0.0 };
    // What rounding leaves of a constant is no spread; nor is a scale whose inverse overflows.
    let constant = sd <= 1e-9 * largest || sd < 1e-200;
    let absent = missing >= OFTEN && present >= OFTEN;
    Encoding::Numeric { name: name.into(), mean, sd: if constant { 0.0 } else { sd }, absent }
}

/// Ten spreads either side of the median, a spread being that of the middle 80 % or, if those are all alike, 98 %. If even
/// those are, nothing is unusual. Sorts `values`, of (value, weight).
fn usual(values: &mut [(f64, f64)], total: f64) -> [f64; 2] {
    values.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let quantile = |q: f64| {
        let mut below = 0.0;
        let found = values.iter().find(|(_, w)| {
            below += w;
            below >= q * total
        });
        found.or(values.last()).map_or(0.0, |(x, _)| *x)
    };
    let spread = [0.1, 0.01].map(|q| quantile(1.0 - q) - quantile(q)).into_iter().find(|s| *s > 0.0);
    match spread {
        Some(spread) => [quantile(0.5) - 10.0 * spread, quantile(0.5) + 10.0 * spread],
        None => [f64::NEG_INFINITY, f64::INFINITY],
    }
}

/// An [`Encoder`] with its columns looked up.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
enum Place {
    Numeric { name: String, first: u32, mean: f64, scale: f64, absent: bool },
    Categorical { name: String, columns: HashMap<String, u32> },
}

impl Columns {
    /// The row of a context; zeros are left out. Every number is finite.
    pub(crate) fn encode(&self, context: &Context) -> Row {
        let mut row = Row::with_capacity(1 + self.places.len());
        row.push((0, 1.0));
        for place in &self.places {
            match place {
                Place::Numeric { name, first, mean, scale, absent } => match number(context.get(name)) {
                    Some(x) => {
                        let z = ((x - mean) * scale).clamp(-FURTHEST, FURTHEST);
                        if z != 0.0 {
                            row.push((*first, z));
                        }
                    }
                    None if *absent => row.push((first + 1, 1.0)),
                    None => {}
                },
                Place::Categorical { name, columns } => {
                    if let Some(&column) = columns.get(&*category(context.get(name))) {
                        row.push((column, 1.0));
                    }
                }
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn features() -> Vec<Feature> {
        serde_json::from_str(
            r#"[{"name":"age","kind":"numeric"},{"name":"device","kind":"categorical"},{"name":"one","kind":"numeric"}]"#,
        )
        .unwrap()
    }

    fn context(json: &str) -> Context {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_few_made_up_numbers_do_not_set_the_scale() {
        let features = [Feature { name: "basket".into(), kind: FeatureKind::Numeric }];
        let value = |x: f64| Context::from([("basket".to_owned(), serde_json::from_value(x.into()).unwrap())]);
        let mut contexts: Vec<Context> = (0..1_000).map(|i| value(f64::from(i % 100))).collect();
        contexts.push(value(1e100));
        contexts.push(value(-999_999_999.0));
        let seen: Vec<(&Context, f64)> = contexts.iter().map(|c| (c, 1.0)).collect();
        let encoder = Encoder::learn(&features, &seen, 10);
        let Encoding::Numeric { mean, sd, .. } = &encoder.features[0] else { panic!("{encoder:?}") };
        assert!((mean - 49.5).abs() < 1.0 && (30.0..60.0).contains(sd), "{mean} {sd}");
    }

    #[test]
    fn values_become_the_columns_documented() {
        let seen = [
            r#"{"age":20,"device":"mobile","one":7.1,"other":1}"#,
            r#"{"age":"40","device":"desktop","one":7.1}"#,
            r#"{"device":"mobile","one":7.1}"#,
            r#"{"age":30,"device":"fridge","one":7.1}"#,
        ]
        .map(context);
        let weighted: Vec<(&Context, f64)> = seen.iter().zip([50.0, 50.0, 20.0, 9.0]).collect();
        let encoder = Encoder::learn(&features(), &weighted, 256);
        // Intercept, age and its absence, two devices (a fridge is rare), and a constant.
        assert_eq!((encoder.columns(), encoder.groups()), (6, vec![0, 1, 1, 2, 2, 3]));
        let columns = encoder.compile();
        let z = columns.encode(&seen[1])[1].1;
        assert!((z - 10.0 / (10_000.0f64 / 109.0).sqrt()).abs() < 1e-12, "{z}");
        assert_eq!(columns.encode(&seen[2]), [(0, 1.0), (2, 1.0), (3, 1.0)]);
        // Unseen and rare are alike; what is no number is absent; what is far out stays within reach.
        assert_eq!(columns.encode(&context(r#"{"age":30,"device":"tv","one":8}"#)), [(0, 1.0)]);
        assert_eq!(columns.encode(&context(r#"{"age":"inf","device":true}"#)), [(0, 1.0), (2, 1.0)]);
        assert_eq!(columns.encode(&context(r#"{"age":1e308,"one":1e308}"#)), [(0, 1.0), (1, 10.0)]);
        assert_eq!(columns.encode(&Context::new()), [(0, 1.0), (2, 1.0)]);
    }

    #[test]
    fn only_declared_values_are_kept() {
        let kept = declared_features(&features(), &context(r#"{"age":20,"secret":"x"}"#));
        assert_eq!(kept, context(r#"{"age":20}"#));
    }

    #[test]
    fn categories_are_bounded() {
        let many: Vec<Context> = (0..1000).map(|i| context(&format!(r#"{{"device":{i}}}"#))).collect();
        let weighted: Vec<(&Context, f64)> = many.iter().map(|c| (c, 20.0)).collect();
        assert_eq!(Encoder::learn(&features(), &weighted, 256).columns(), 1 + 2 + MAX_VALUES);
        assert_eq!(Encoder::learn(&features(), &weighted, 10).columns(), 10);
        assert_eq!((most_columns(2), most_columns(100)), (256, 87));
        assert!(most_columns(crate::MAX_ARMS) > 2 * MAX_FEATURES);
    }

    proptest! {
        /// Whatever was seen, an encoding keeps the rules, survives its JSON, and gives each category its own column.
        #[test]
        fn encodings_round_trip_and_rows_are_sound(
            seen in proptest::collection::vec((proptest::option::of(-1e300..1e300f64), "[abc]?", 0.0..40.0f64), 0..30),
            asked in proptest::option::of(proptest::num::f64::NORMAL),
        ) {
            let contexts: Vec<(Context, f64)> = seen.iter().map(|(x, c, w)| {
                let mut context = Context::from([("device".to_owned(), ContextValue::Text(c.clone()))]);
                if let Some(x) = x.and_then(serde_json::Number::from_f64) {
                    context.insert("age".into(), ContextValue::Number(x));
                }
                (context, *w)
            }).collect();
            let weighted: Vec<(&Context, f64)> = contexts.iter().map(|(c, w)| (c, *w)).collect();
            let encoder = Encoder::learn(&features(), &weighted, 256);
            prop_assert!(encoder.is_sound());
            let text = serde_json::to_string(&encoder).unwrap();
            let back: Encoder = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back, &encoder);
            let columns = back.compile();
            let asked = asked.and_then(serde_json::Number::from_f64).map(|x| Context::from([("age".to_owned(), ContextValue::Number(x))]));
            for context in contexts.iter().map(|(c, _)| c).chain(&asked) {
                let row = columns.encode(context);
                prop_assert!(row.windows(2).all(|w| w[0].0 < w[1].0));
                prop_assert!(row.iter().all(|(j, x)| (*j as usize) < encoder.columns() && x.abs() <= FURTHEST));
            }
            if let Encoding::Categorical { values, .. } = &encoder.features[1] {
                for (a, b) in values.iter().zip(values.iter().skip(1)) {
                    let row = |v: &String| columns.encode(&Context::from([("device".to_owned(), ContextValue::Text(v.clone()))]));
                    prop_assert_ne!(row(a), row(b));
                }
            }
        }
    }
}
