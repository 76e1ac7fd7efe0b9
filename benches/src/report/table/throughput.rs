//! How fast backlogs were drained.

use super::line;
use crate::drain::{ComparisonFigures, ComparisonRound, DrainFigures, ModeFigures, RelayRun};
use crate::outbox::Delivery;
use crate::report::{Figures, Report};

const DRAINS: &str = "\
| case | delivery | rows | rounds | pg_recvlogical, rows/s | cdc-relay, rows/s | ratio | after the first record, rows/s | ratio \
| CPU a row: cdc-relay | walsender, to cdc-relay | walsender, to pg_recvlogical | peak memory |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

const COMPARISONS: &str = "\
| case | delivery | rows | rounds | how | rows/s | ratio | CPU a row: cdc-relay | walsender | peak memory |
|---|---|--:|--:|---|--:|--:|--:|--:|--:|
";

/// Two rows for each backlog that was drained in turns with the reference; nothing if there is none.
pub(super) fn drains(reports: &[Report]) -> String {
    let mut rows = String::new();
    for report in reports {
        if let Figures::Drain(figures) = &report.figures {
            for delivery in [Delivery::AtLeastOnce, Delivery::ExactlyOnce] {
                let row = drain(&report.case, figures, delivery);
                line(&mut rows, format_args!("{row}"));
            }
        }
    }
    under(DRAINS, rows)
}

/// Two rows for each backlog that was drained in two ways; nothing if there is none.
pub(super) fn comparisons(reports: &[Report]) -> String {
    let mut rows = String::new();
    for report in reports {
        if let Figures::Comparison(figures) = &report.figures {
            for side in [Side::Baseline, Side::Candidate] {
                let row = comparison(&report.case, figures, side);
                line(&mut rows, format_args!("{row}"));
            }
        }
    }
    under(COMPARISONS, rows)
}

fn under(header: &str, rows: String) -> String {
    if rows.is_empty() {
        rows
    } else {
        header.to_owned() + &rows
    }
}

fn drain(case: &str, figures: &DrainFigures, delivery: Delivery) -> String {
    let mode: &ModeFigures = match delivery {
        Delivery::AtLeastOnce => &figures.at_least_once,
        Delivery::ExactlyOnce => &figures.exactly_once,
    };
    let median = |figure: fn(&RelayRun) -> f64| {
        figures.median(|round| match delivery {
            Delivery::AtLeastOnce => figure(&round.at_least_once),
            Delivery::ExactlyOnce => figure(&round.exactly_once),
        })
    };
    format!(
        "| {case} | `{}` | {} | {} | {:.0} | {:.0} | **{:.2}** | {:.0} | {:.2} | {:.1} µs | {:.1} µs | {:.1} µs | {:.0} MiB |",
        delivery.name(),
        figures.rows,
        figures.rounds.len(),
        figures.median(|round| round.reference.rows_per_second),
        median(|relay| relay.rows_per_second),
        mode.ratio,
        median(|relay| relay.rows_per_second_after_first_record),
        mode.ratio_after_first_record,
        median(|relay| relay.cpu_us_per_row),
        median(|relay| relay.walsender_cpu_us_per_row),
        figures.median(|round| round.reference.walsender_cpu_us_per_row),
        mode.peak_resident_mib,
    )
}

/// One of the two that are compared.
#[derive(Debug, Clone, Copy)]
enum Side {
    Baseline,
    Candidate,
}

fn comparison(case: &str, figures: &ComparisonFigures, side: Side) -> String {
    let (how, ratio) = match side {
        Side::Baseline => (&figures.baseline, "1".to_owned()),
        Side::Candidate => (&figures.candidate, format!("**{:.2}**", figures.ratio)),
    };
    let run = move |round: &ComparisonRound, figure: fn(&RelayRun) -> f64| match side {
        Side::Baseline => figure(&round.baseline),
        Side::Candidate => figure(&round.candidate),
    };
    let median = |figure: fn(&RelayRun) -> f64| figures.median(|round| run(round, figure));
    let peaks = figures
        .rounds
        .iter()
        .map(|round| run(round, |relay| relay.peak_resident_mib));
    format!(
        "| {case} | `{}` | {} | {} | {how} | {:.0} | {ratio} | {:.1} µs | {:.1} µs | {:.0} MiB |",
        figures.delivery.name(),
        figures.rows,
        figures.rounds.len(),
        median(|relay| relay.rows_per_second),
        median(|relay| relay.cpu_us_per_row),
        median(|relay| relay.walsender_cpu_us_per_row),
        peaks.fold(0.0, f64::max),
    )
}
