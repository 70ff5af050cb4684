//! What a draw does, step by step. Whoever only wants the arm does not listen, and pays nothing: a draw and its
//! explanation are one code.

/// A step of a draw. Arms are indices of the definition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Uniform numbers of the participant: outside the traffic if the first is not below it, in the holdout if the second is
    /// below that.
    Participates {
        /// Decides on traffic.
        enrolment: f64,
        /// Decides on holdout.
        holdout: f64,
    },
    /// The holdout deals any enabled arm, all alike.
    Holdout,
    /// A uniform number; below the sum of all floors any enabled arm is dealt, all alike.
    Floor {
        /// The number.
        drawn: f64,
        /// The sum.
        below: f64,
    },
    /// A value was drawn for an arm, and the highest wins: a rate, or the predictor of a contextual policy.
    Value {
        /// The arm.
        arm: usize,
        /// Its value.
        value: f64,
    },
    /// A uniform number fell into the share of an arm.
    Share {
        /// The number, from 0 up to the sum of all shares.
        drawn: f64,
    },
}
