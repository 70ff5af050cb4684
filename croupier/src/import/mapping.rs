//! Which column holds which field.

use super::ImportError;
use std::fmt;

/// What a row can say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The visitor.
    User,
    /// The thing looked at.
    Item,
    /// The arm that was dealt.
    Arm,
    /// When.
    At,
    /// Size of the reward.
    Reward,
    /// When the reward came.
    RewardAt,
    /// Probability with which the arm was dealt.
    Propensity,
    /// What the source calls the decision.
    DecisionId,
    /// Decision, reward or exposure.
    Type,
    /// An attribute of the request's context.
    Context(String),
}

const PLAIN: [(Field, &str); 9] = [
    (Field::User, "user"),
    (Field::Item, "item"),
    (Field::Arm, "arm"),
    (Field::At, "at"),
    (Field::Reward, "reward"),
    (Field::RewardAt, "reward_at"),
    (Field::Propensity, "propensity"),
    (Field::DecisionId, "decision_id"),
    (Field::Type, "type"),
];

impl Field {
    fn parse(name: &str) -> Option<Self> {
        match name.strip_prefix("context.") {
            Some(attribute) => bandit::check_id(attribute).is_ok().then(|| Self::Context(attribute.into())),
            None => PLAIN.iter().find(|(_, n)| *n == name).map(|(field, _)| field.clone()),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context(attribute) => write!(f, "context.{}", attribute.escape_debug()),
            plain => f.write_str(PLAIN.iter().find(|(field, _)| field == plain).map_or("", |(_, name)| name)),
        }
    }
}

/// What a file has.
pub(crate) struct Columns {
    pub(crate) names: Vec<String>,
    /// Whether a row may have others, as in NDJSON.
    pub(crate) open: bool,
}

/// What `--map` said.
pub(crate) struct Mapping(Vec<(Field, String)>);

impl Mapping {
    pub(crate) fn parse(given: &[String]) -> Result<Self, ImportError> {
        let mut pairs: Vec<(Field, String)> = Vec::new();
        for text in given {
            let Some((name, column)) = text.split_once('=').filter(|(_, column)| !column.is_empty()) else {
                return Err(ImportError::Map { given: text.clone() });
            };
            let field = Field::parse(name).ok_or_else(|| ImportError::NoField { name: name.into() })?;
            if pairs.iter().any(|(f, _)| *f == field) {
                return Err(ImportError::MappedTwice { field });
            }
            pairs.push((field, column.into()));
        }
        Ok(Self(pairs))
    }

    /// The attributes that are mapped, in their order.
    pub(crate) fn attributes(&self) -> Vec<String> {
        let attribute = |(field, _): &(Field, String)| match field {
            Field::Context(name) => Some(name.clone()),
            _ => None,
        };
        self.0.iter().filter_map(attribute).collect()
    }

    /// The columns that are named, which must exist.
    pub(crate) fn given(&self) -> Vec<&str> {
        self.0.iter().map(|(_, column)| column.as_str()).collect()
    }

    /// Finds the columns of all fields, for an experiment that is split by `segment_by`.
    pub(crate) fn lay_out(&self, segment_by: &[String], columns: &Columns) -> Result<Layout, ImportError> {
        self.check(columns)?;
        if let Some(attribute) = self.attributes().into_iter().find(|a| !segment_by.contains(a)) {
            return Err(ImportError::NoSegment { attribute, segment_by: segment_by.to_vec() });
        }
        let attributes = segment_by.iter().map(|name| Field::Context(name.clone()));
        let layout = self.find(PLAIN.iter().map(|(field, _)| field.clone()).chain(attributes), columns)?;
        // With a type, a file may hold rewards alone.
        let required: &[Field] = if layout.slot(&Field::Type).is_some() { &[] } else { &[Field::Arm, Field::At] };
        layout.require(required, columns)?;
        Ok(layout)
    }

    /// Finds the columns of a log of trials, whose rows each need `required`.
    pub(crate) fn lay_out_trials(&self, required: &[Field], columns: &Columns) -> Result<Layout, ImportError> {
        self.check(columns)?;
        let attributes = self.attributes().into_iter().map(Field::Context);
        let layout = self.find(PLAIN.iter().map(|(field, _)| field.clone()).chain(attributes), columns)?;
        layout.require(required, columns)?;
        Ok(layout)
    }

    /// An error if a column is named that there is not.
    fn check(&self, columns: &Columns) -> Result<(), ImportError> {
        match self.0.iter().find(|(_, column)| !columns.names.contains(column)) {
            None => Ok(()),
            Some((field, column)) => Err(ImportError::NoColumn {
                field: field.clone(),
                column: column.clone(),
                columns: columns.names.clone(),
            }),
        }
    }

    fn find(&self, fields: impl Iterator<Item = Field>, columns: &Columns) -> Result<Layout, ImportError> {
        let mut layout = Layout { fields: Vec::new(), columns: Vec::new() };
        for field in fields {
            let given = self.0.iter().find(|(f, _)| *f == field).map(|(_, column)| column.clone());
            let column = given.unwrap_or_else(|| field.to_string());
            if !columns.open && columns.names.iter().filter(|c| **c == column).count() > 1 {
                return Err(ImportError::AmbiguousColumn { field, column });
            }
            if columns.open || columns.names.contains(&column) {
                layout.fields.push(field);
                layout.columns.push(column);
            }
        }
        Ok(layout)
    }
}

/// Fields and the columns that hold them, in the order of a row's cells.
pub(crate) struct Layout {
    pub(crate) fields: Vec<Field>,
    pub(crate) columns: Vec<String>,
}

impl Layout {
    /// Which cell holds `field`, if any does.
    pub(crate) fn slot(&self, field: &Field) -> Option<usize> {
        self.fields.iter().position(|f| f == field)
    }

    fn require(&self, required: &[Field], columns: &Columns) -> Result<(), ImportError> {
        match required.iter().find(|field| self.slot(field).is_none()) {
            Some(field) => Err(ImportError::Unmapped { field: field.clone(), columns: columns.names.clone() }),
            None => Ok(()),
        }
    }
}
