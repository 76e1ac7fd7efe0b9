//! What draining a backlog has shown.

use std::time::Duration;

use cdc_e2e::process::Kibibytes;
use serde::{Deserialize, Serialize};

use super::Case;
use super::backlog::{Backlog, KEYS, PAYLOAD_BYTES};
use crate::report::Target;
use crate::statistics::{median, rounded};

/// The most memory that a relay should have resident.
const MEMORY_TARGET: Kibibytes = Kibibytes::from_mebibytes(50);

/// Rows a second with transactions in Kafka, divided by those without, that should be reached.
const EXACTLY_TO_AT_LEAST_TARGET: f64 = 0.85;

/// The reference and the relay, on the same rows one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Round {
    /// PostgreSQL's own client.
    pub(crate) reference: ReferenceRun,
    pub(crate) at_least_once: RelayRun,
    pub(crate) exactly_once: RelayRun,
}

/// `pg_recvlogical -f /dev/null`, from the start of its process to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReferenceRun {
    pub(crate) seconds: f64,
    pub(crate) rows_per_second: f64,
    /// Microseconds of CPU time a row.
    pub(crate) walsender_cpu_us_per_row: f64,
}

/// `cdc-relay relay`, from the start of its process until consumers can read the last record; of several at once, the
/// sums, except where it says otherwise.
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
    /// Of the one that had the most.
    pub(crate) peak_resident_mib: f64,
}

/// One way of delivery against the reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ModeFigures {
    /// Rows a second of the relay divided by those of the reference: the median of the rounds' ratios.
    pub(crate) ratio: f64,
    /// The same for the relay's time after the first record.
    pub(crate) ratio_after_first_record: f64,
    /// The highest of all rounds.
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
    pub(crate) at_least_once: ModeFigures,
    pub(crate) exactly_once: ModeFigures,
    /// Rows a second of the one divided by those of the other: the median of the rounds' ratios.
    pub(crate) exactly_to_at_least: f64,
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

/// The highest peak of several runs, in MiB.
pub(super) fn highest_peak<'a>(runs: impl Iterator<Item = &'a RelayRun>) -> f64 {
    runs.map(|run| run.peak_resident_mib).fold(0.0, f64::max)
}

/// The most memory that a relay should have resident, in MiB.
pub(super) fn memory_target() -> f64 {
    MEMORY_TARGET.0 as f64 / 1024.0
}

impl ModeFigures {
    /// `run` chooses the runs of this way of delivery.
    fn of(rounds: &[Round], run: fn(&Round) -> &RelayRun) -> Self {
        let ratio_of = |rate: fn(&RelayRun) -> f64| {
            let ratios = rounds
                .iter()
                .map(|round| rate(run(round)) / round.reference.rows_per_second);
            rounded(median(ratios))
        };
        Self {
            ratio: ratio_of(|relay| relay.rows_per_second),
            ratio_after_first_record: ratio_of(|relay| relay.rows_per_second_after_first_record),
            peak_resident_mib: highest_peak(rounds.iter().map(run)),
        }
    }
}

impl DrainFigures {
    pub(super) fn new(backlog: &Backlog, case: Case, rounds: Vec<Round>) -> Self {
        let cost = rounds
            .iter()
            .map(|round| round.exactly_once.rows_per_second / round.at_least_once.rows_per_second);
        Self {
            payload_type: case.payload().name().to_owned(),
            payload_bytes: PAYLOAD_BYTES,
            keys: KEYS,
            rows: backlog.rows,
            rows_per_transaction: backlog.rows_per_transaction,
            at_least_once: ModeFigures::of(&rounds, |round| &round.at_least_once),
            exactly_once: ModeFigures::of(&rounds, |round| &round.exactly_once),
            exactly_to_at_least: rounded(median(cost)),
            target_ratio: case.target(),
            rounds,
        }
    }

    /// The median over the rounds of one figure.
    pub(crate) fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// What should be reached. The ratio to the reference is judged at least once: that is what the reference gives, too.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let Self {
            at_least_once,
            exactly_once,
            exactly_to_at_least,
            ..
        } = self;
        let peak = |figure, mode: &ModeFigures| {
            Target::at_most(figure, memory_target(), mode.peak_resident_mib)
        };
        vec![
            Target::at_least(
                "at_least_once.ratio",
                self.target_ratio,
                at_least_once.ratio,
            ),
            Target::at_least(
                "exactly_to_at_least",
                EXACTLY_TO_AT_LEAST_TARGET,
                *exactly_to_at_least,
            ),
            peak("at_least_once.peak_resident_mib", at_least_once),
            peak("exactly_once.peak_resident_mib", exactly_once),
        ]
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::backlog::Form;
    use super::*;

    pub(in super::super) fn relay_run(rows_per_second: f64, peak: f64) -> RelayRun {
        RelayRun {
            seconds: 1.0,
            rows_per_second,
            seconds_to_first_record: 0.1,
            rows_per_second_after_first_record: rows_per_second * 1.1,
            cpu_us_per_row: 4.0,
            walsender_cpu_us_per_row: 4.0,
            peak_resident_mib: peak,
        }
    }

    fn round(reference: f64, at_least_once: f64, exactly_once: f64) -> Round {
        Round {
            reference: ReferenceRun {
                seconds: 1.0,
                rows_per_second: reference,
                walsender_cpu_us_per_row: 7.0,
            },
            at_least_once: relay_run(at_least_once, 60.0),
            exactly_once: relay_run(exactly_once, 50.0),
        }
    }

    #[test]
    fn ratios_are_of_runs_in_the_same_round() {
        let backlog = Backlog {
            form: Form::Row,
            rows: 10,
            rows_per_transaction: 1000,
        };
        // The quotients of the medians would be 1.6, 0.96 and 0.6.
        let rounds = vec![
            round(100.0, 130.0, 120.0),
            round(200.0, 160.0, 96.0),
            round(50.0, 300.0, 90.0),
        ];
        let figures = DrainFigures::new(&backlog, Case::Jsonb1000, rounds);
        assert_eq!(figures.at_least_once.ratio, 1.3);
        assert_eq!(figures.at_least_once.ratio_after_first_record, 1.43);
        assert_eq!(figures.exactly_once.ratio, 1.2);
        assert_eq!(figures.exactly_to_at_least, 0.6);
        let met: Vec<_> = figures.targets().iter().map(|t| t.met).collect();
        assert_eq!(
            met,
            [true, false, false, true],
            "1.3 of 1.25; 0.6 of 0.85; 60 and 50 MiB of 50"
        );
    }

    #[test]
    fn time_is_divided_by_rows() {
        assert_eq!(rate(1000, Duration::from_millis(500)), 2000.0);
        assert_eq!(micros_per_row(1000, Duration::from_millis(4)), 4.0);
    }
}
