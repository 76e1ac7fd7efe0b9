//! What should be reached.

use serde::{Deserialize, Serialize};

/// A limit for one figure, and whether it was kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    /// The figure's name in the result.
    pub(crate) figure: String,
    pub(crate) limit: Limit,
    pub(crate) measured: f64,
    pub(crate) met: bool,
}

/// The side on which a figure should be.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    /// More is better.
    pub(crate) fn at_least(figure: &str, limit: f64, measured: f64) -> Self {
        Self {
            figure: figure.to_owned(),
            limit: Limit::AtLeast(limit),
            measured,
            met: measured >= limit,
        }
    }

    /// Less is better.
    pub(crate) fn at_most(figure: &str, limit: f64, measured: f64) -> Self {
        Self {
            figure: figure.to_owned(),
            limit: Limit::AtMost(limit),
            measured,
            met: measured <= limit,
        }
    }
}
