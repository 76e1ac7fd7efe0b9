//! One way of relaying against another.

use serde::{Deserialize, Serialize};

use super::Case;
use super::backlog::{KEYS, PAYLOAD_BYTES};
use super::figures::{RelayRun, highest_peak, memory_target};
use crate::outbox::Delivery;
use crate::report::Target;
use crate::statistics::{median, rounded};

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) case: Case,
    pub(super) rows: u32,
    pub(super) baseline: &'static str,
    pub(super) candidate: &'static str,
}

/// Both, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ComparisonRound {
    pub(crate) baseline: RelayRun,
    pub(crate) candidate: RelayRun,
}

/// All rounds of a case, and the medians over them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ComparisonFigures {
    pub(crate) baseline: String,
    pub(crate) candidate: String,
    /// Of both.
    pub(crate) delivery: Delivery,
    payload_bytes: i32,
    keys: u32,
    pub(crate) rows: u32,
    pub(crate) rows_per_transaction: u32,
    /// Rows a second of the candidate divided by those of the baseline: the median of the rounds' ratios.
    pub(crate) ratio: f64,
    /// The highest of all rounds.
    pub(crate) peak_resident_mib: f64,
    target_ratio: f64,
    pub(crate) rounds: Vec<ComparisonRound>,
}

impl ComparisonFigures {
    pub(super) fn new(pair: Pair, delivery: Delivery, rounds: Vec<ComparisonRound>) -> Self {
        let ratios = rounds
            .iter()
            .map(|round| round.candidate.rows_per_second / round.baseline.rows_per_second);
        Self {
            baseline: pair.baseline.to_owned(),
            candidate: pair.candidate.to_owned(),
            delivery,
            payload_bytes: PAYLOAD_BYTES,
            keys: KEYS,
            rows: pair.rows,
            rows_per_transaction: pair.case.rows_per_transaction(),
            ratio: rounded(median(ratios)),
            peak_resident_mib: highest_peak(rounds.iter().map(|round| &round.candidate)),
            target_ratio: pair.case.target(),
            rounds,
        }
    }

    /// The median over the rounds of one figure.
    pub(crate) fn median(&self, figure: impl Fn(&ComparisonRound) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// What should be reached.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let peak = self.peak_resident_mib;
        vec![
            Target::at_least("ratio", self.target_ratio, self.ratio),
            Target::at_most("peak_resident_mib", memory_target(), peak),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::relay_run;
    use super::*;

    #[test]
    fn ratios_are_of_runs_in_the_same_round() {
        // The quotient of the medians would be 2.
        let rounds = [(100.0, 150.0), (200.0, 200.0), (50.0, 400.0)];
        let rounds = rounds.map(|(baseline, candidate)| ComparisonRound {
            baseline: relay_run(baseline, 60.0),
            candidate: relay_run(candidate, 30.0),
        });
        let pair = Pair {
            case: Case::TwoSlots,
            rows: 10,
            baseline: "one",
            candidate: "two",
        };
        let figures = ComparisonFigures::new(pair, Delivery::ExactlyOnce, rounds.to_vec());
        assert_eq!(figures.ratio, 1.5);
        let met: Vec<_> = figures.targets().iter().map(|t| t.met).collect();
        assert_eq!(met, [true, true], "1.5 of 1.3; 30 MiB of 50");
    }
}
