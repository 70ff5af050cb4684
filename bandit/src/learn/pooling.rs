//! Segments that lend each other strength: each cell's prior, fitted from all others.
//!
//! The rate of arm a in segment i has a Beta prior whose mean moves with the arm's rate over all segments and with how
//! segment i does with the other arms, on the scale of log-odds:
//! logit m_ia = logit m_a + (logit m_i − logit m̄_i).
//! A Beta's variance is m(1−m) / (c+1), so that relative variances 1/(c+1) of independent sources add up:
//! 1/(c_ia+1) = 1/(c_a+1) + 1/(c_i+1) + 1/(ν+1),
//! with c_a for what is not known of the arm, c_i of the segment, and ν for how arms differ from segment to segment.
//! The cell's own counts take no part in its prior (they are the likelihood), so that nothing is used twice: posteriors are
//! that prior plus the cell's counts, and their intervals are calibrated.
//!
//! Concentrations are fitted by the marginal likelihood of the beta-binomial (Skellam 1948; Gelman et al., Bayesian Data
//! Analysis, §5.3, for the hierarchical model) under weak priors, which decide where data cannot: with no evidence the
//! prior is the owner's.

use crate::beta::Beta;
use statrs::function::gamma::ln_gamma;

/// Weighted successes and failures of one arm in one segment.
pub(crate) type Counts = [f64; 2];

/// Segments by which concentrations are fitted; more would not make them more certain.
const FITTED_ON: usize = 250;
/// Standard deviation of the logarithm of a concentration under its prior: within a factor of 50 in 95 %.
const LOG_SPREAD: f64 = 2.0;
/// Where that prior stands for segments and cells: rates that differ by about a third of themselves at 5 %.
const USUAL: f64 = 200.0;

/// Concentrations of the hierarchy.
#[derive(Debug, Clone, Copy)]
struct Spread {
    /// How little segments differ from each other.
    segments: f64,
    /// How little an arm differs from segment to segment beyond that (ν).
    cells: f64,
}

/// What is known of the arms over all segments.
struct Pools {
    arms: Vec<Beta>,
    /// The concentration by which cells were weighed, and by which one is taken out again.
    weighed_by: f64,
}

/// Priors of each segment and arm, and those of a segment that nothing is known of.
pub(crate) struct Pooled {
    pub(crate) segments: Vec<Vec<Beta>>,
    pub(crate) unseen: Vec<Beta>,
}

/// Fits priors. `own` are the owner's, one for each arm; `counts` has a row for each segment, in a fixed order.
pub(crate) fn pool(own: &[Beta], counts: &[Vec<Counts>]) -> Pooled {
    if counts.len() < 2 {
        let arms = shared(own, &counts.first().cloned().unwrap_or_else(|| vec![[0.0; 2]; own.len()]));
        return Pooled { segments: counts.iter().map(|_| arms.clone()).collect(), unseen: arms };
    }
    let sample: Vec<&Vec<Counts>> = counts.iter().step_by(counts.len().div_ceil(FITTED_ON)).collect();
    let mut spread = Spread { segments: USUAL, cells: USUAL };
    // Arms are pooled with concentrations, and concentrations are fitted to pooled arms: a few rounds settle both.
    for _ in 0..2 {
        let pools = pools(own, counts, spread);
        spread.cells = maximise(0.1, |c| fit(own, &pools, &sample, Spread { cells: c, ..spread }) + usual(c, USUAL));
        spread.segments =
            maximise(0.1, |c| fit(own, &pools, &sample, Spread { segments: c, ..spread }) + usual(c, USUAL));
    }
    let pools = pools(own, counts, spread);
    let segments = counts.iter().map(|row| priors(own, &pools, row, spread, true)).collect();
    let nothing = vec![[0.0; 2]; own.len()];
    Pooled { segments, unseen: priors(own, &pools, &nothing, spread, false) }
}

/// The trials that n correlated ones of a cell are worth for what is above it: n (c+1) / (c+n).
fn worth(c: f64, n: f64) -> f64 {
    (c + 1.0) / (c + n)
}

/// The concentration whose relative variance is that of several sources together.
fn together(concentrations: &[f64]) -> f64 {
    1.0 / concentrations.iter().map(|c| 1.0 / (c + 1.0)).sum::<f64>() - 1.0
}

fn pools(own: &[Beta], counts: &[Vec<Counts>], spread: Spread) -> Pools {
    let weighed_by = together(&[spread.segments, spread.cells]);
    let sums: Vec<Counts> = (0..own.len())
        .map(|a| {
            counts.iter().fold([0.0; 2], |sum, row| {
                let [s, f] = row[a];
                let w = worth(weighed_by, (s + f).max(1.0));
                [sum[0] + w * s, sum[1] + w * f]
            })
        })
        .collect();
    let arms = sums.iter().zip(shared(own, &sums)).map(|([s, f], p)| Beta { alpha: p.alpha + s, beta: p.beta + f });
    Pools { arms: arms.collect(), weighed_by }
}

/// Priors of one segment's arms. `counted`: the row is part of the pools and is taken out of its own.
fn priors(own: &[Beta], pools: &Pools, row: &[Counts], spread: Spread, counted: bool) -> Vec<Beta> {
    // Without the row's own part, rounding may leave a little less than nothing.
    let others = |a: usize| {
        let [s, f] = row[a];
        let w = if counted { worth(pools.weighed_by, (s + f).max(1.0)) } else { 0.0 };
        let Beta { alpha, beta } = pools.arms[a];
        Beta { alpha: (alpha - w * s).max(1e-9), beta: (beta - w * f).max(1e-9) }
    };
    let arms: Vec<Beta> = (0..row.len()).map(others).collect();
    // The segment by all of its arms: successes, trials, and successes if it were like the others.
    let weighed: Vec<[f64; 3]> = row
        .iter()
        .zip(&arms)
        .map(|([s, f], arm)| {
            let n = s + f;
            let w = worth(spread.cells, n.max(1.0));
            [w * s, w * n, w * n * arm.mean()]
        })
        .collect();
    let total = weighed.iter().fold([0.0; 3], |t, w| [t[0] + w[0], t[1] + w[1], t[2] + w[2]]);
    (0..row.len())
        .map(|a| {
            let m = arms[a].mean();
            let [s, n, e] = [0, 1, 2].map(|k| (total[k] - weighed[a][k]).max(0.0));
            let expected = if n > 0.0 { (e / n).clamp(1e-12, 1.0 - 1e-12) } else { m };
            let found = (spread.segments * expected + s.min(n)) / (spread.segments + n);
            let odds = m / (1.0 - m) * (found / (1.0 - found)) / (expected / (1.0 - expected));
            let mean = (odds / (1.0 + odds)).clamp(1e-12, 1.0 - 1e-12);
            let c = together(&[arms[a].alpha + arms[a].beta, spread.segments + n, spread.cells]);
            // Never vaguer than the owner's prior.
            let c = c.max(own[a].alpha + own[a].beta);
            Beta { alpha: c * mean, beta: c * (1.0 - mean) }
        })
        .collect()
}

/// The log marginal likelihood of all cells.
fn fit(own: &[Beta], pools: &Pools, sample: &[&Vec<Counts>], spread: Spread) -> f64 {
    sample
        .iter()
        .map(|row| {
            let priors = priors(own, pools, row, spread, true);
            priors.iter().zip(row.iter()).map(|(p, c)| marginal(p, *c)).sum::<f64>()
        })
        .sum()
}

/// ln Γ(x + by) / Γ(x).
fn rise(x: f64, by: f64) -> f64 {
    #[expect(clippy::float_cmp, reason = "whole counts are exact")]
    if by <= 8.0 && by == by.trunc() {
        // A short product is faster than two gamma functions, and exact.
        let (mut product, mut k) = (1.0, 0.0);
        while k < by {
            product *= x + k;
            k += 1.0;
        }
        product.ln()
    } else {
        ln_gamma(x + by) - ln_gamma(x)
    }
}

/// ln B(α+s, β+f) / B(α, β).
fn marginal(p: &Beta, [s, f]: Counts) -> f64 {
    rise(p.alpha, s) + rise(p.beta, f) - rise(p.alpha + p.beta, s + f)
}

/// Log-density of a concentration's prior.
fn usual(c: f64, at: f64) -> f64 {
    -((c / at).ln() / LOG_SPREAD).powi(2) / 2.0
}

/// A prior that all arms share, fitted to their counts; the owner's own where arms were given different ones.
fn shared(own: &[Beta], counts: &[Counts]) -> Vec<Beta> {
    let Some(first) = own.first().filter(|first| own.iter().all(|b| b == *first)) else { return own.to_vec() };
    let c0 = first.alpha + first.beta;
    let score = |m: f64, c: f64| {
        let p = Beta { alpha: c * m, beta: c * (1.0 - m) };
        // In log-odds the owner's Beta has its mode at its mean: without evidence it stays.
        counts.iter().map(|n| marginal(&p, *n)).sum::<f64>()
            + first.alpha * m.ln()
            + first.beta * (-m).ln_1p()
            + usual(c, c0)
    };
    let (mut m, mut c) = (first.mean(), c0);
    for _ in 0..3 {
        let odds = maximise(1e-2, |odds| score(odds * 1e-5 / (1.0 + odds * 1e-5), c)) * 1e-5;
        m = odds / (1.0 + odds);
        c = maximise(1e-2, |c| score(m, c));
    }
    vec![Beta { alpha: c * m, beta: c * (1.0 - m) }; own.len()]
}

/// The positive number at which a function with one peak in its logarithm is highest, to `precision` of itself: golden
/// section search.
fn maximise(precision: f64, f: impl Fn(f64) -> f64) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = (1e-1f64.ln(), 1e6f64.ln());
    let (mut a, mut b) = (high - RATIO * (high - low), low + RATIO * (high - low));
    let (mut fa, mut fb) = (f(a.exp()), f(b.exp()));
    while high - low > precision {
        if fa < fb {
            (low, a, fa) = (a, b, fb);
            b = low + RATIO * (high - low);
            fb = f(b.exp());
        } else {
            (high, b, fb) = (b, a, fa);
            a = high - RATIO * (high - low);
            fa = f(a.exp());
        }
    }
    f64::midpoint(low, high).exp()
}
