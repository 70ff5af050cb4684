//! Exponentials and logarithms at all nodes of a panel at once: without branches, so that compilers use vector
//! registers, and of plain arithmetic, so that every machine has the same bits.

use crate::quadrature::NODES;

/// A number for each node.
pub(crate) type Lanes = [f64; NODES];

/// 1.5 · 2^52: adding it rounds to an integer, which is then in the lowest bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts, the first with zeros at its end, so that small multiples of it are exact.
const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];

/// `map` of arrays is not compiled to vectors.
#[inline(always)]
fn each(x: &Lanes, f: impl Fn(f64) -> f64) -> Lanes {
    let mut out = [0.0; NODES];
    for j in 0..NODES {
        out[j] = f(x[j]);
    }
    out
}

/// e^x − 1 for |x| < 1.6, with full relative accuracy near 0.
#[inline]
pub(crate) fn exp_m1(x: &Lanes) -> Lanes {
    each(x, |x| {
        let mut sum = 1.0;
        // 1 + x/2 (1 + x/3 (1 + …)); 1.6^22 / 23! is 1e-18.
        for inverse in INVERSES {
            sum = 1.0 + sum * x * inverse;
        }
        sum * x
    })
}

/// 1/22 … 1/2.
const INVERSES: [f64; 21] = {
    let (mut all, mut k) = ([0.0; 21], 0);
    while k < 21 {
        all[k] = 1.0 / (22 - k) as f64;
        k += 1;
    }
    all
};

/// e^x; x below −708 counts as that.
#[inline]
pub(crate) fn exp(x: &Lanes) -> Lanes {
    /// 1/13! … 1/0!
    const SERIES: [f64; 14] = {
        let (mut terms, mut factorial, mut k) = ([1.0; 14], 1.0, 1);
        while k < 14 {
            factorial *= k as f64;
            terms[13 - k] = 1.0 / factorial;
            k += 1;
        }
        terms
    };
    each(x, |x| {
        let x = if x < -708.0 { -708.0 } else { x };
        let shifted = x * std::f64::consts::LOG2_E + ROUND;
        let k = shifted - ROUND;
        let r = (x - k * LN_2[0]) - k * LN_2[1];
        let mut sum = 0.0;
        for term in SERIES {
            sum = sum * r + term;
        }
        sum * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()))
    })
}

/// ln(1 + x) for −0.82 < x < 4.6, with full relative accuracy near 0.
#[inline]
pub(crate) fn ln_1p(x: &Lanes) -> Lanes {
    /// 1/21, 1/19, … 1/1
    const SERIES: [f64; 11] = {
        let (mut terms, mut k) = ([1.0; 11], 0);
        while k < 11 {
            terms[10 - k] = 1.0 / (2 * k + 1) as f64;
            k += 1;
        }
        terms
    };
    each(x, |x| {
        // A power of two brings 1 + x between √½ and √2.
        let (scale, ln) = if x > 1.83 {
            (0.25, 2.0)
        } else if x > 0.415 {
            (0.5, 1.0)
        } else {
            (1.0, 0.0)
        };
        let (scale, ln) = if x < -0.646 {
            (4.0, -2.0)
        } else if x < -0.293 {
            (2.0, -1.0)
        } else {
            (scale, ln)
        };
        let f = x * scale + (scale - 1.0);
        let s = f / (2.0 + f);
        let square = s * s;
        let mut sum = 0.0;
        for term in SERIES {
            sum = sum * square + term;
        }
        ln * std::f64::consts::LN_2 + 2.0 * s * sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_functions() {
        for i in 0..200_000 {
            let x = -708.0 + f64::from(i) * 708.5 / 200_000.0;
            let got = exp(&[x; NODES])[7];
            assert!((got / x.exp() - 1.0).abs() < 1e-15, "exp {x}: {got}");
            let x = -0.82 + f64::from(i) * 5.42 / 200_000.0;
            for x in [x, x * 1e-3, x * 1e-9] {
                let got = ln_1p(&[x; NODES])[3];
                assert!((got / x.ln_1p() - 1.0).abs() < 2e-15, "ln_1p {x}: {got} {}", x.ln_1p());
            }
        }
        for i in 1..100_000 {
            let x = -1.6 + f64::from(i) * 3.2 / 100_000.0;
            for x in [x, x * 1e-4, x * 1e-12] {
                let got = exp_m1(&[x; NODES])[0];
                assert!((got - x.exp_m1()).abs() <= 1e-15 * x.exp_m1().abs(), "exp_m1 {x}: {got}");
            }
        }
        assert_eq!((exp(&[0.0; NODES])[0], ln_1p(&[0.0; NODES])[0]), (1.0, 0.0));
        assert!(exp(&[-1e9; NODES])[0] < 1e-300);
    }
}
