//! Frames whose checksums are right whatever else is wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::frames::{About, Counts, Frame, MAGIC, Reader, Writer, json, write_frame};

/// Reads `data` as the frames of a backup: of each its first byte says the kind, the second how long it is.
///
/// # Panics
/// If something was read that is not the same once it was written and read again.
pub(crate) fn again(data: &[u8]) {
    let mut file = MAGIC.to_vec();
    let mut rest = data;
    while let Some((&[kind, length], more)) = rest.split_first_chunk::<2>() {
        let (body, more) = more.split_at(usize::from(length).min(more.len()));
        // One of the kinds, or any other.
        let kind = b"AKPSE".get(usize::from(kind)).copied().unwrap_or(kind);
        write_frame(&mut file, kind, body).unwrap();
        rest = more;
    }
    let mut ended = file.clone();
    write_frame(&mut ended, b'E', &json(&read(&file).1).unwrap()).unwrap();
    for file in [&file[..], &ended, data] {
        if let (frames, counts, true) = read(file) {
            let written = written(&frames);
            let same = read(&written);
            assert_eq!((same.0, same.1.database_bytes, same.2), (frames, counts.database_bytes, true));
        }
    }
}

/// What is kept, pairs together that are beside each other; how much of it there is; and whether that is all.
fn read(file: &[u8]) -> (Vec<Frame>, Counts, bool) {
    let (mut kept, mut counts) = (Vec::new(), Counts::default());
    let Ok(mut reader) = Reader::begin(file) else { return (kept, counts, false) };
    loop {
        match (reader.next(), kept.last_mut()) {
            (Ok(Some(Frame::About(_) | Frame::End(_))), _) => {}
            (Ok(Some(Frame::Pairs(pairs))), last) => {
                counts.pairs += pairs.len() as u64;
                match last {
                    Some(Frame::Pairs(before)) => before.extend(pairs),
                    _ if pairs.is_empty() => {}
                    _ => kept.push(Frame::Pairs(pairs)),
                }
            }
            (Ok(Some(frame)), _) => {
                if let Frame::Database(piece) = &frame {
                    counts.database_bytes += piece.len() as u64;
                }
                kept.push(frame);
            }
            (end, _) => return (kept, counts, end.is_ok()),
        }
    }
}

fn written(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let about = About { release: String::new(), directory: String::new() };
    let mut writer = Writer::begin(&mut bytes, &about).unwrap();
    for frame in frames {
        match frame {
            Frame::Keyspace(name) => writer.keyspace(name).unwrap(),
            Frame::Pairs(pairs) => pairs.iter().for_each(|(key, value)| writer.pair(key, value).unwrap()),
            Frame::Database(piece) => writer.database(piece).unwrap(),
            Frame::About(_) | Frame::End(_) => {}
        }
    }
    writer.end().unwrap();
    bytes
}

#[cfg(test)]
mod tests {
    use super::again;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn frames_of_anything_are_read_or_refused(
            frames in prop::collection::vec((0..6_u8, prop::collection::vec(any::<u8>(), 0..30)), 0..6),
            pairs in prop::collection::vec((0..4_u8, 0..4_u8), 0..4),
        ) {
            let frame = |kind: u8, body: &[u8]| [&[kind, u8::try_from(body.len()).unwrap()], body].concat();
            let mut data = frame(0, br#"{"release":"1","directory":"/data"}"#);
            data.extend(frame(1, b"log"));
            let body: Vec<u8> = pairs.iter().flat_map(|(key, value)| {
                let lengths = [u32::from(*key).to_le_bytes(), u32::from(*value).to_le_bytes()].concat();
                [lengths, vec![7; usize::from(key + value)]].concat()
            }).collect();
            data.extend(frame(2, &body));
            data.extend(frames.iter().flat_map(|(kind, body)| frame(*kind, body)));
            again(&data);
        }
    }
}
