//! The built-in model of rewards: each arm's smoothed mean.

/// How [`ArmRates`] are fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelSettings {
    /// Rows of the mean reward that are added to each arm's own: an arm with this many rows is half-way between.
    pub prior_rows: f64,
    /// Parts for cross-fitting: a row is predicted from the other parts. 1: each is predicted from all.
    ///
    /// Cross-fitting is the default, since a row that helped to predict itself leaves too small a residual; doubly robust
    /// intervals would be too narrow where arms have few rows (Chernozhukov et al. 2018, "Double/debiased machine
    /// learning").
    pub folds: usize,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self { prior_rows: 20.0, folds: 5 }
    }
}

/// q(arm) = (rewards of the arm + k · mean reward) / (rows of the arm + k), one list for each fold. Row i is in fold
/// i mod folds, so that each fold holds the whole length of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmRates {
    /// By fold and arm, fitted without the fold if there are several.
    rates: Vec<Vec<f64>>,
}

impl ArmRates {
    /// Fits to a log: index of the arm (below `arms`) and reward per row, of equal length.
    #[must_use]
    pub fn fit(logged: &[usize], rewards: &[f64], arms: usize, settings: ModelSettings) -> Self {
        let folds = settings.folds.clamp(1, rewards.len().max(1));
        // Rows and rewards by fold and arm.
        let mut sums = vec![vec![(0.0, 0.0); arms]; folds];
        for (i, (&arm, reward)) in logged.iter().zip(rewards).enumerate() {
            if let Some((rows, sum)) = sums[i % folds].get_mut(arm) {
                *rows += 1.0;
                *sum += reward;
            }
        }
        let rates = (0..folds)
            .map(|fold| {
                let others = sums.iter().enumerate().filter(|(i, _)| folds == 1 || *i != fold);
                let mut used = vec![(0.0, 0.0); arms];
                for (_, part) in others {
                    for (to, from) in used.iter_mut().zip(part) {
                        *to = (to.0 + from.0, to.1 + from.1);
                    }
                }
                let (rows, sum) = used.iter().fold((0.0, 0.0), |all, arm| (all.0 + arm.0, all.1 + arm.1));
                let mean = if rows > 0.0 { sum / rows } else { 0.0 };
                let k = settings.prior_rows.max(0.0);
                let rate = |(rows, sum): &(f64, f64)| {
                    if rows + k > 0.0 { (sum + k * mean) / (rows + k) } else { mean }
                };
                used.iter().map(rate).collect()
            })
            .collect();
        Self { rates }
    }

    /// Number of folds.
    #[must_use]
    pub fn folds(&self) -> usize {
        self.rates.len()
    }

    /// Predictions for row `row`, one per arm.
    #[must_use]
    pub fn of_row(&self, row: usize) -> &[f64] {
        &self.rates[row % self.rates.len()]
    }

    /// Expected prediction for row `row` under probabilities of the arms.
    #[must_use]
    pub fn expected(&self, row: usize, probabilities: &[f64]) -> f64 {
        self.of_row(row).iter().zip(probabilities).map(|(q, p)| q * p).sum()
    }
}
