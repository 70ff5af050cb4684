use super::frames::{About, Frame, Reader, Writer};
use super::{Standing, restore, standing};
use crate::{Locations, StoreError};
use proptest::prelude::*;
use std::sync::Arc;

fn about() -> About {
    About { release: "1".into(), directory: "/data".into() }
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
type Keyspaces = Vec<(String, Pairs)>;

fn written(keyspaces: &[(String, Pairs)], database: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, &about()).unwrap();
    for (name, pairs) in keyspaces {
        writer.keyspace(name).unwrap();
        for (key, value) in pairs {
            writer.pair(key, value).unwrap();
        }
    }
    for piece in database {
        writer.database(piece).unwrap();
    }
    writer.end().unwrap();
    bytes
}

fn read(bytes: &[u8]) -> crate::Result<(Keyspaces, Vec<u8>)> {
    let mut reader = Reader::begin(bytes)?;
    let (mut keyspaces, mut database): (Keyspaces, Vec<u8>) = (Vec::new(), Vec::new());
    while let Some(frame) = reader.next()? {
        match frame {
            Frame::Keyspace(name) => keyspaces.push((name, Vec::new())),
            Frame::Pairs(pairs) => keyspaces.last_mut().unwrap().1.extend(pairs),
            Frame::Database(piece) => database.extend(piece),
            Frame::About(_) | Frame::End(_) => {}
        }
    }
    Ok((keyspaces, database))
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        keyspaces in prop::collection::vec((".{1,8}", prop::collection::vec((bytes(20), bytes(90_000)), 0..8)), 0..4),
        database in prop::collection::vec(bytes(2_000), 0..4),
    ) {
        let (kept, rows) = read(&written(&keyspaces, &database)).unwrap();
        prop_assert_eq!(kept, keyspaces);
        prop_assert_eq!(rows, database.concat());
    }

    /// Any other byte, and any end before the end, is noticed; and never a panic.
    #[test]
    fn damage_is_refused(at in any::<prop::sample::Index>(), bit in 0..8_u8, rubbish in bytes(200)) {
        let whole = written(&[("log".into(), vec![(vec![1; 30], vec![2; 300])])], &[vec![3; 500]]);
        let at = at.index(whole.len());
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << bit;
        prop_assert!(read(&flipped).is_err());
        prop_assert!(read(&whole[..at]).is_err());
        prop_assert!(read(&[&whole[..], &[0]].concat()).is_err());
        prop_assert!(read(&rubbish).is_err());
        prop_assert!(read(&[&whole[..8], &rubbish[..]].concat()).is_err());
    }
}

#[tokio::test]
async fn one_backup_at_a_time_and_none_over_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let locations = Locations::in_dir(&dir.path().join("data"));
    assert_eq!(standing(&locations).unwrap().0, Standing::Nothing);
    let stores = crate::open(&locations).await.unwrap();
    assert_eq!(standing(&locations).unwrap().0, Standing::InUse);
    let backup = stores.backup.clone().unwrap();
    let turn = backup.turn().unwrap();
    assert!(matches!(backup.turn(), Err(StoreError::Conflict(_))));
    let file = dir.path().join("backup");
    Arc::clone(&backup).write(turn, std::fs::File::create(&file).unwrap()).await.unwrap();
    assert!(backup.turn().is_ok());
    assert!(matches!(restore(&locations, &file).await, Err(StoreError::Setting { .. })));
    // What a restore that was cut off leaves is not opened.
    let other = Locations::in_dir(&dir.path().join("other"));
    std::fs::create_dir_all(dir.path().join("other/restoring")).unwrap();
    assert!(crate::open(&other).await.is_err_and(|e| e.to_string().contains("cut off")));
}
