//! Vectors in eight bits a number, and how far a score from them can be from the real one.

/// Rows of a block: each is scanned at once.
pub(super) const ROWS: usize = 32;

/// Largest number of a row's code.
const CODE: f32 = 127.0;

/// Largest number of a query's code: 32 · 127, so that it splits into two signed bytes, `32 · high + low`; and
/// 4,064 · 127 · 4,096 dimensions is still below 2³¹.
const QUERY_CODE: i32 = 4_064;

/// What rounding in single precision can do to a bound, relative to the numbers in it: six roundings of 2⁻²⁴ each,
/// the score's own among them, and room.
const ROUNDING: f64 = 1.0 / 262_144.0;

/// More than the smallest number of single precision, for the rounding of numbers near it.
const TINY: f64 = 1e-43;

/// Numbers of a code for vectors of this dimension: two groups of four are read at once.
pub(super) const fn padded(dimension: usize) -> usize {
    dimension.next_multiple_of(8)
}

/// A row's code: `row ≈ scale · codes`, and `‖row − scale · codes‖ ≤ slack`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) scale: f32,
    pub(super) slack: f32,
}

/// Writes a row's code, 128 added to each number so that it is a byte without sign.
pub(super) fn encode(row: &[f32], codes: &mut Vec<u8>) -> Scale {
    let largest = row.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let scale = largest / CODE;
    let start = codes.len();
    if scale > 0.0 {
        codes.extend(row.iter().map(|v| (nearest((v / scale).clamp(-CODE, CODE)) + 128) as u8));
    } else {
        codes.resize(start + row.len(), 128);
    }
    let step = f64::from(scale);
    let square = squares(row.iter().zip(&codes[start..]), |(v, c)| f64::from(*v) - step * (f64::from(*c) - 128.0));
    codes.resize(start + padded(row.len()), 128);
    #[expect(clippy::cast_possible_truncation, reason = "an endless bound is one, too")]
    let slack = (square.sqrt() * (1.0 + ROUNDING) + TINY) as f32;
    Scale { scale, slack }
}

/// The nearest whole number: adding 1.5 · 2²³ leaves no room for a fraction.
fn nearest(value: f32) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole")]
    let whole = (value + 12_582_912.0 - 12_582_912.0) as i32;
    whole
}

/// The sum of squares, eight at a time.
fn squares<T>(values: impl ExactSizeIterator<Item = T>, of: impl Fn(T) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    for (i, value) in values.enumerate() {
        let v = of(value);
        sums[i % 8] += v * v;
    }
    sums.iter().sum()
}

/// A query as scans read it: at length 1, so that neither its length nor its smallness matters to the bounds.
#[derive(Debug)]
pub(super) struct Query {
    /// As it came, for exact scores.
    pub(super) row: Vec<f32>,
    /// Its length.
    pub(super) length: f64,
    /// `query / length ≈ step · code`.
    pub(super) step: f32,
    /// The code, by fours.
    pub(super) wide: Vec<[i16; 4]>,
    /// Its high bytes by fours: `code = 32 · high + low`.
    pub(super) high: Vec<i32>,
    /// Its low bytes.
    pub(super) low: Vec<i32>,
    /// 128 · the sum of the code: what the 128 in rows' codes adds to a product.
    pub(super) bias: i32,
    /// What a row's scale times this adds to its bound.
    pub(super) reach: f32,
}

impl Query {
    pub(super) fn new(row: Vec<f32>) -> Self {
        let length = squares(row.iter(), |v| f64::from(*v)).sqrt();
        let largest = row.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let dimension = padded(row.len()).max(1);
        let fits = i32::try_from(i32::MAX as usize / 127 / dimension).unwrap_or(1);
        let levels = QUERY_CODE.min(fits);
        #[expect(clippy::cast_possible_truncation, reason = "of single precision")]
        let step = if length > 0.0 { (f64::from(largest) / length / f64::from(levels)) as f32 } else { 0.0 };
        let per_step = if step > 0.0 { 1.0 / (length * f64::from(step)) } else { 0.0 };
        let mut wide = vec![[0_i16; 4]; dimension / 4];
        let mut square = 0.0;
        for (i, v) in row.iter().enumerate() {
            let exact = f64::from(*v) * per_step;
            #[expect(clippy::cast_possible_truncation, reason = "within the levels, and those within 16 bits")]
            let code = nearest(exact.clamp(-f64::from(levels), f64::from(levels)) as f32) as i16;
            wide[i / 4][i % 4] = code;
            square += (exact - f64::from(code)).powi(2);
        }
        let residual = square.sqrt() * f64::from(step);
        let high = wide.iter().map(|four| word(four.map(|c| (c + 16) >> 5))).collect();
        let low = wide.iter().map(|four| word(four.map(|c| c - (((c + 16) >> 5) << 5)))).collect();
        let bias = wide.iter().flatten().fold(0_i32, |sum, c| sum.wrapping_add(128 * i32::from(*c)));
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a bound, with room")]
        let reach = (f64::from(CODE) * (dimension as f64).sqrt() * (residual + ROUNDING)) as f32;
        Self { row, length, step, wide, high, low, bias, reach }
    }
}

/// Four small numbers as the bytes of one, the first lowest.
fn word(four: [i16; 4]) -> i32 {
    i32::from_le_bytes(four.map(|c| c.to_le_bytes()[0]))
}
