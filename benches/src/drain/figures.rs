//! What draining a backlog has shown.

use std::time::Duration;

use cdc_e2e::process::Kibibytes;
use serde::{Deserialize, Serialize};

use super::Case;
use super::backlog::{Backlog, KEYS, PAYLOAD_BYTES};
use crate::report::Target;
use crate::statistics::{median, rounded};

/// The most memory that the relay should have resident.
const MEMORY_TARGET: Kibibytes = Kibibytes::from_mebibytes(50);

/// The reference and the relay, on the same rows one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Round {
    /// PostgreSQL's own client.
    pub(crate) reference: ReferenceRun,
    /// The relay.
    pub(crate) relay: RelayRun,
}

/// `pg_recvlogical -f /dev/null`, from the start of its process to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReferenceRun {
    pub(crate) seconds: f64,
    pub(crate) rows_per_second: f64,
    /// Microseconds of CPU time a row.
    pub(crate) walsender_cpu_us_per_row: f64,
}

/// `cdc-relay relay`, from the start of its process until consumers can read the last record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RelayRun {
    pub(crate) seconds: f64,
    pub(crate) rows_per_second: f64,
    /// Until consumers can read the first records.
    pub(crate) seconds_to_first_record: f64,
    /// From the first records to the last.
    pub(crate) rows_per_second_after_first_record: f64,
    /// Microseconds of CPU time a row, from the start of the process.
    pub(crate) cpu_us_per_row: f64,
    /// Microseconds of CPU time a row.
    pub(crate) walsender_cpu_us_per_row: f64,
    pub(crate) peak_resident_mib: f64,
}

/// All rounds of a case, and the medians over them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DrainFigures {
    pub(crate) payload_type: String,
    pub(crate) payload_bytes: i32,
    pub(crate) keys: u32,
    pub(crate) rows: u32,
    pub(crate) rows_per_transaction: u32,
    /// Rows a second of the relay divided by those of the reference: the median of the rounds' ratios.
    pub(crate) ratio: f64,
    /// The same for the relay's time after the first record.
    pub(crate) ratio_after_first_record: f64,
    /// The highest of all rounds.
    pub(crate) peak_resident_mib: f64,
    target_ratio: f64,
    pub(crate) rounds: Vec<Round>,
}

impl ReferenceRun {
    pub(super) fn new(rows: u32, took: Duration, walsender: Duration) -> Self {
        Self {
            seconds: rounded(took.as_secs_f64()),
            rows_per_second: rate(rows, took),
            walsender_cpu_us_per_row: micros_per_row(rows, walsender),
        }
    }
}

/// Rows in a second, without decimals.
pub(super) fn rate(rows: u32, took: Duration) -> f64 {
    (f64::from(rows) / took.as_secs_f64()).round()
}

/// Microseconds for each row.
pub(super) fn micros_per_row(rows: u32, time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e6 / f64::from(rows))
}

impl DrainFigures {
    pub(super) fn new(backlog: &Backlog, case: Case, rounds: Vec<Round>) -> Self {
        let ratio_of = |rate: fn(&RelayRun) -> f64| {
            let ratios = rounds
                .iter()
                .map(|round| rate(&round.relay) / round.reference.rows_per_second);
            rounded(median(ratios))
        };
        Self {
            payload_type: case.payload.name().to_owned(),
            payload_bytes: PAYLOAD_BYTES,
            keys: KEYS,
            rows: backlog.rows,
            rows_per_transaction: backlog.rows_per_transaction,
            ratio: ratio_of(|relay| relay.rows_per_second),
            ratio_after_first_record: ratio_of(|relay| relay.rows_per_second_after_first_record),
            peak_resident_mib: rounds
                .iter()
                .map(|round| round.relay.peak_resident_mib)
                .fold(0.0, f64::max),
            target_ratio: case.target,
            rounds,
        }
    }

    /// The median over the rounds of one figure.
    pub(crate) fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// What should be reached.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let memory = MEMORY_TARGET.0 as f64 / 1024.0;
        vec![
            Target::at_least("ratio", self.target_ratio, self.ratio),
            Target::at_most("peak_resident_mib", memory, self.peak_resident_mib),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::CASES;
    use super::*;

    fn round(reference: f64, relay: f64, peak: f64) -> Round {
        Round {
            reference: ReferenceRun {
                seconds: 1.0,
                rows_per_second: reference,
                walsender_cpu_us_per_row: 7.0,
            },
            relay: RelayRun {
                seconds: 1.0,
                rows_per_second: relay,
                seconds_to_first_record: 0.1,
                rows_per_second_after_first_record: relay * 1.1,
                cpu_us_per_row: 4.0,
                walsender_cpu_us_per_row: 4.0,
                peak_resident_mib: peak,
            },
        }
    }

    #[test]
    fn ratios_are_of_runs_in_the_same_round() {
        let backlog = Backlog {
            rows: 10,
            rows_per_transaction: 1,
        };
        // The quotient of the medians would be 1.5.
        let rounds = vec![
            round(100.0, 110.0, 30.0),
            round(200.0, 180.0, 60.0),
            round(50.0, 150.0, 20.0),
        ];
        let figures = DrainFigures::new(&backlog, CASES[0], rounds);
        assert_eq!(figures.ratio, 1.1);
        assert_eq!(figures.ratio_after_first_record, 1.21);
        let met: Vec<_> = figures.targets().iter().map(|t| t.met).collect();
        assert_eq!(met, [true, false], "1.1 of 1.1; 60 MiB of 50");
    }

    #[test]
    fn time_is_divided_by_rows() {
        assert_eq!(rate(1000, Duration::from_millis(500)), 2000.0);
        assert_eq!(micros_per_row(1000, Duration::from_millis(4)), 4.0);
    }
}
