//! Vectors of texts, of which some may spoil the batch that they are in.

use embed::{EmbedError, Embedder};
use recommend::{Metric, check_in_space};
use std::time::Duration;

/// What came of one text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Made {
    /// Its vector, which is right for the space.
    Vector(Vec<f32>),
    /// There is none, and trying again would change nothing.
    Refused(String),
    /// There may be one later.
    Later(String, Option<Duration>),
}

/// What came of each text, in their order. A batch that is refused is halved until the texts that spoil it are alone; once
/// a model asks for time, it is asked for nothing more.
pub(super) async fn make(model: &dyn Embedder, metric: Metric, texts: &[&str]) -> Vec<Made> {
    let mut made: Vec<Option<Made>> = vec![None; texts.len()];
    let size = model.batch().max(1);
    // Last in, first out, so that the first batch comes first.
    let mut open: Vec<(usize, usize)> =
        (0..texts.len()).step_by(size).map(|from| (from, texts.len().min(from + size))).rev().collect();
    while let Some((from, to)) = open.pop() {
        match model.embed(&texts[from..to]).await {
            Ok(vectors) if vectors.len() == to - from => {
                for (place, vector) in made[from..to].iter_mut().zip(vectors) {
                    *place = Some(checked(model, metric, vector));
                }
            }
            Err(EmbedError::Later { why, after }) => {
                let later = Made::Later(why, after);
                return made.into_iter().map(|made| made.unwrap_or_else(|| later.clone())).collect();
            }
            refused if to - from == 1 => {
                let why = match refused {
                    Err(e) => e.to_string(),
                    Ok(vectors) => format!("{} vectors came for one text", vectors.len()),
                };
                made[from] = Some(Made::Refused(why));
            }
            _ => {
                let middle = from + (to - from) / 2;
                open.extend([(middle, to), (from, middle)]);
            }
        }
    }
    // None is open, so each has its own.
    made.into_iter().map(|made| made.unwrap_or_else(|| Made::Later("it was not tried".into(), None))).collect()
}

/// A vector of the wrong length, or without a number at some place, is none.
fn checked(model: &dyn Embedder, metric: Metric, vector: Vec<f32>) -> Made {
    match check_in_space(model.dimension(), metric, &vector) {
        Ok(()) => Made::Vector(vector),
        Err(e) => Made::Refused(format!("the model's vector {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use proptest::prelude::*;
    use std::sync::Mutex;

    /// Refuses batches with a text that begins with "bad", makes a wrong vector of others, and asks for time after a while.
    struct Odd {
        batch: usize,
        patience: Option<usize>,
        asked: Mutex<usize>,
    }

    #[async_trait]
    impl Embedder for Odd {
        fn version(&self) -> &'static str {
            "odd"
        }

        fn dimension(&self) -> usize {
            2
        }

        fn batch(&self) -> usize {
            self.batch
        }

        async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            if self.patience.is_some_and(|most| *asked > most) {
                return Err(EmbedError::Later { why: "slow".into(), after: None });
            }
            if texts.iter().any(|text| text.starts_with("bad")) {
                return Err(EmbedError::Refused { why: "spoilt".into() });
            }
            if texts.iter().any(|text| text.starts_with("few")) {
                return Ok(vec![]);
            }
            let vector = |text: &&str| match text.get(..3) {
                Some("nan") => vec![1.0, f32::NAN],
                Some("len") => vec![1.0; 3],
                Some("nil") => vec![0.0; 2],
                _ => vec![1.0, 0.25],
            };
            Ok(texts.iter().map(vector).collect())
        }
    }

    fn ask(model: &Odd, texts: &[String]) -> Vec<Made> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(make(model, Metric::Cosine, &texts))
    }

    proptest! {
        /// Each text gets what it would get alone, whatever is beside it.
        #[test]
        fn none_spoils_another(
            texts in proptest::collection::vec("(bad|few|nan|len|nil|ok)[a-z]?", 0..40), batch in 0..9_usize,
        ) {
            let model = Odd { batch, patience: None, asked: Mutex::default() };
            for (text, made) in texts.iter().zip(ask(&model, &texts)) {
                prop_assert_eq!(matches!(&made, Made::Vector(_)), text.starts_with("ok"), "{}: {:?}", text, made);
                prop_assert!(!matches!(made, Made::Later(..)));
            }
            // A spoilt text of a batch of n costs 2 log n further requests at most.
            let spoilt = texts.iter().filter(|t| t.starts_with("bad") || t.starts_with("few")).count();
            let batches = texts.len().div_ceil(batch.max(1));
            prop_assert!(*model.asked.lock().unwrap() <= batches + spoilt * 8);
        }

        /// Once it asks for time nothing more is sent, and what was made until then stands.
        #[test]
        fn who_asks_for_time_gets_it(count in 0..40_usize, batch in 1..9_usize, patience in 0..5_usize) {
            let model = Odd { batch, patience: Some(patience), asked: Mutex::default() };
            let made = ask(&model, &vec!["ok".to_owned(); count]);
            prop_assert!(*model.asked.lock().unwrap() <= patience + 1);
            let vectors = made.iter().filter(|made| matches!(made, Made::Vector(_))).count();
            prop_assert_eq!(vectors, count.min(patience * batch));
        }
    }
}
