//! Text to tokens, as `tokenizer.json` says.

use crate::ModelError;
use crate::folder::Folder;
use kitoken::convert::convert_tokenizers;
use kitoken::{
    Definition, InsertionPosition, Kitoken, Normalization, NormalizationReplacePattern, Processing, Regex,
    SpecialTokenKind,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

const FILE: &str = "tokenizer.json";

pub(crate) struct Tokenizer {
    kitoken: Kitoken,
    /// The token before a text, where the model wants one.
    pub(crate) start: Option<u32>,
    /// And the one behind it.
    pub(crate) end: Option<u32>,
    /// What stands for a piece that no token is for.
    pub(crate) unknown: Option<u32>,
    /// One above the largest token of a text; special ones are not counted.
    pub(crate) tokens: usize,
}

impl Tokenizer {
    pub(crate) fn read(folder: &mut Folder) -> Result<Self, ModelError> {
        let bytes = folder.read(FILE)?;
        // The reader of this format indexes and unwraps: a broken file must not end the process.
        catch_unwind(AssertUnwindSafe(|| Self::parse(&bytes)))
            .unwrap_or_else(|_| Err("is not a tokenizer".into()))
            .map_err(|why| folder.refuse(FILE, why))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut definition = convert_tokenizers(bytes).map_err(|e| e.to_string())?;
        // Padding would add tokens, and truncation would take away as many as a model elsewhere can bear: the model says that.
        definition
            .config
            .processing
            .retain(|step| !matches!(step, Processing::Pad { .. } | Processing::Truncate { .. }));
        as_trained(&mut definition.config.normalization)?;
        // Where a template for two texts says so too, it is called the end of a part.
        let start = around(&definition, &[InsertionPosition::SequenceStart, InsertionPosition::SubSequenceStart]);
        let end = around(&definition, &[InsertionPosition::SequenceEnd, InsertionPosition::SubSequenceEnd]);
        let unknown = definition.specials.iter().find(|s| s.kind == SpecialTokenKind::Unknown).map(|s| s.id);
        let largest = definition.model.vocab().iter().map(|token| token.id).max().ok_or("has no tokens")?;
        let tokens = usize::try_from(largest).map_or(usize::MAX, |largest| largest.saturating_add(1));
        let kitoken = Kitoken::try_from(definition).map_err(|e| e.to_string())?;
        Ok(Self { kitoken, start, end, unknown, tokens })
    }

    /// A text's tokens, without those that stand around a text; none if it cannot be cut into any.
    pub(crate) fn tokens(&self, text: &str) -> Vec<u32> {
        // A special token that is written out in a text is one, as in the tokenizers that models were trained with.
        self.kitoken.encode(text, true).unwrap_or_default()
    }
}

/// Mends where the reader of this format is not as Hugging Face's tokenizers, which models were trained with: they keep
/// characters that are not assigned, and make letters small one by one, a sigma at a word's end too.
fn as_trained(steps: &mut Vec<Normalization>) -> Result<(), String> {
    let regex = |text: &str| Regex::new(text).map(NormalizationReplacePattern::from).map_err(|e| e.to_string());
    let (others, controls) = (regex(r"\p{C}")?, regex(r"[\p{Cc}\p{Cf}\p{Co}]")?);
    for i in (0..steps.len()).rev() {
        match &mut steps[i] {
            Normalization::Replace { pattern, .. } if *pattern == others => *pattern = controls.clone(),
            Normalization::CaseFold { upper: false } => {
                steps.insert(i, Normalization::Replace { pattern: 'Σ'.into(), replacement: "σ".into() });
            }
            _ => {}
        }
    }
    Ok(())
}

fn around(definition: &Definition, positions: &[InsertionPosition]) -> Option<u32> {
    let template = definition.config.templates.iter().find(|t| positions.contains(&t.position))?;
    definition.specials.iter().find(|s| s.bytes == template.content.as_bytes()).map(|s| s.id)
}
