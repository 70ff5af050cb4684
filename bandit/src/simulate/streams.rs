//! Uniforms that are a function of seed, stream and round, the same in every language: SplitMix64 (Steele, Lea & Flood 2014)
//! as a hash. Two policies on one seed so meet the same visitors, delays and luck, and their regrets can be compared in pairs.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Luck of a round: it succeeds if its rate is higher.
pub(crate) const OUTCOME: u64 = 0;
/// The two uniforms of a delay.
pub(crate) const DELAY: [u64; 2] = [1, 2];
/// The segment.
pub(crate) const SEGMENT: u64 = 3;
/// The first feature; the others follow.
pub(crate) const FEATURE: u64 = 10;
/// Parameters that are drawn once for each seed.
pub(crate) const PARAMETER: u64 = 1 << 32;
/// The name of a round's assignment.
pub(crate) const ASSIGNMENT: [u64; 2] = [(1 << 32) + 1, (1 << 32) + 2];

/// SplitMix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// 64 bits for `round` of `stream` under `seed`.
pub(crate) fn bits(seed: u64, stream: u64, round: u64) -> u64 {
    let key = mix(mix(seed.wrapping_add(GOLDEN)) ^ stream.wrapping_mul(GOLDEN));
    mix(key.wrapping_add(round.wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// The same as a double in [0, 1).
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
pub(crate) fn uniform(seed: u64, stream: u64, round: u64) -> f64 {
    (bits(seed, stream, round) >> 11) as f64 / 9_007_199_254_740_992.0
}

/// A standard normal from two streams (Box & Muller 1958).
pub(crate) fn normal(seed: u64, streams: [u64; 2], round: u64) -> f64 {
    let [u, v] = streams.map(|stream| uniform(seed, stream, round));
    (-2.0 * (-u).ln_1p()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values computed in another language.
    #[test]
    fn streams_are_the_same_everywhere() {
        let of =
            |seed, stream, rounds: std::ops::Range<u64>| rounds.map(|t| uniform(seed, stream, t)).collect::<Vec<_>>();
        let expected =
            [0.338_052_454_195_505_45, 0.269_130_271_226_399_9, 0.271_566_609_696_783_9, 0.480_169_550_801_032_4];
        assert_eq!(of(0, 0, 0..4), expected);
        assert_eq!(of(7, 12, 1000..1003), [0.480_311_961_514_951_04, 0.828_176_243_068_814_1, 0.740_483_670_819_539_5]);
    }
}
