//! Pure: catalogs and their items, the vector index, a visitor's vector, diversity, what is popular.

mod candidates;
mod catalog;
mod distinct;
pub mod diversity;
pub mod index;
mod item;
pub mod popularity;
mod profile;
mod projection;
pub mod quality;
mod text;

pub use candidates::{
    Browse, Candidate, Candidates, Explanation, Found, LISTED_AHEAD, List, MadeAhead, Measured, Near, Placed, Seen,
    Shown, Source, Standing, Wanted,
};
pub use catalog::{CatalogDefinition, CatalogError, Embedder, MAX_DIMENSION, MAX_HISTORY, Metric, Serving};
pub use distinct::Distinct;
pub use item::{Item, ItemError, MAX_TAGS, check_in_space, check_vector};
pub use profile::{Profile, View};
pub use projection::Projection;
pub use text::{MAX_TEXT, Text, TextVector, text_hash};
