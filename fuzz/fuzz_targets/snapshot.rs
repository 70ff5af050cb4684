//! The file that catalogs are read from at the start, its checksums right whatever else is wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recommend::{Candidates, CatalogDefinition};

fuzz_target!(|data: &[u8]| {
    let definition: CatalogDefinition = serde_json::from_str(r#"{"dimension":2}"#).expect("a definition");
    let (at, rest) = data.split_first().map_or((0, data), |(at, rest)| (usize::from(*at).min(rest.len()), rest));
    let (layout, part) = rest.split_at(at);
    let sized = |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("short").to_le_bytes()[..], bytes].concat();
    let end = [0; 8];
    let file = [&sized(layout)[..], &crc32fast::hash(part).to_le_bytes(), &sized(part), &end].concat();
    if let Ok(candidates) = Candidates::read_snapshot(definition.clone(), &mut &file[..]) {
        let mut written = Vec::new();
        candidates.write_snapshot(&mut written).expect("what was read can be written");
        Candidates::read_snapshot(definition, &mut &written[..]).expect("and read again");
    }
});
