//! What the service answers.

use crate::EmbedError;
use serde::Deserialize;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    index: usize,
    embedding: Vec<f32>,
}

/// One vector for each of `texts` texts, in their order; nothing but finite numbers, `dimension` each, not all of them zero.
pub(crate) fn vectors(answer: &[u8], texts: usize, dimension: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
    let refuse = |why: String| EmbedError::Refused { why: format!("the embeddings endpoint answered {why}") };
    // What was there is not shown: it is as long as it likes.
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|e| refuse(format!("what is no list of vectors (line {}, column {})", e.line(), e.column())))?;
    if answer.data.len() != texts {
        return Err(refuse(format!("{} vectors for {texts} texts", answer.data.len())));
    }
    let mut vectors = vec![Vec::new(); texts];
    for Row { index, embedding } in answer.data {
        if embedding.len() != dimension {
            return Err(refuse(format!("vectors of {} numbers: they must have {dimension}", embedding.len())));
        }
        if !embedding.iter().all(|x| x.is_finite()) || embedding.iter().all(|x| *x == 0.0) {
            return Err(refuse("a vector that is not finite, or has no direction".into()));
        }
        match vectors.get_mut(index) {
            Some(place) if place.is_empty() => *place = embedding,
            _ => return Err(refuse(format!("an index {index} that is no text's, or is there twice"))),
        }
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::vectors;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn vectors_are_in_the_order_of_texts(order in Just((0..9_usize).collect::<Vec<_>>()).prop_shuffle()) {
            let data: Vec<_> = order.iter().map(|i| json!({"index": i, "embedding": [1.0, i]})).collect();
            let found = vectors(json!({ "data": data }).to_string().as_bytes(), 9, 2).unwrap();
            prop_assert!(found.iter().zip(0_u8..).all(|(v, i)| v[1] == f32::from(i)));
        }

        #[test]
        fn an_answer_that_is_cut_off_is_none(cut in 0..55_usize) {
            let whole = br#"{"data":[{"index":0,"embedding":[1.0,2.0,3.0]}],"x":1}"#;
            prop_assert_eq!(vectors(&whole[..cut.min(whole.len())], 1, 3).is_ok(), cut >= whole.len());
        }
    }

    #[test]
    fn a_wrong_answer_is_no_vector() {
        let row = |index: usize, numbers: &str| format!(r#"{{"index":{index},"embedding":[{numbers}]}}"#);
        let (a, b) = (row(0, "1,2"), row(1, "1,2"));
        let wrong = [
            (format!("[{a}]"), "1 vectors for 2 texts"),
            (format!("[{a},{a}]"), "there twice"),
            (format!("[{a},{}]", row(2, "1,2")), "no text's"),
            (format!("[{a},{}]", row(1, "1,2,3")), "vectors of 3 numbers: they must have 2"),
            (format!("[{a},{}]", row(1, "1,1e60")), "no list of vectors"),
            (format!("[{a},{}]", row(1, "0,0")), "no direction"),
            (format!("[{a},{}]", row(1, "1,NaN")), "no list of vectors"),
            (format!("[{a},{}]", row(1, "1,null")), "no list of vectors"),
        ];
        for (data, why) in wrong {
            let error = vectors(format!(r#"{{"data":{data}}}"#).as_bytes(), 2, 2).unwrap_err().to_string();
            assert!(error.contains(why), "{data}: {error}");
        }
        assert!(vectors(format!(r#"{{"data":[{b},{a}]}}"#).as_bytes(), 2, 2).is_ok());
    }
}
