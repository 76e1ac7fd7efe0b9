//! How fast a backlog reaches Kafka: against PostgreSQL's own client, and one way of relaying against another.

mod against_reference;
mod backlog;
mod case;
mod comparison;
mod figures;
mod messages;
mod reference;
mod relay_run;
mod relays;
mod two_slots;

use anyhow::{Context, Result};
use cdc_e2e::progress::Progress;
use cdc_e2e::services::Services;

use crate::arguments::Effort;
use crate::report::Figures;

#[cfg(test)]
pub(crate) use backlog::PAYLOAD_BYTES;
pub(crate) use case::Case;
pub(crate) use comparison::{ComparisonFigures, ComparisonRound};
pub(crate) use figures::{DrainFigures, ModeFigures, RelayRun};

/// Measures one case. Round 0 of each does not count: the broker spends it compiling.
pub(crate) async fn measure(
    services: &Services,
    case: Case,
    effort: &Effort,
    progress: &Progress,
) -> Result<Figures> {
    let bench = Bench {
        services,
        case,
        rows: case.rows(effort.rows),
        rounds: effort.rounds,
        progress,
    };
    let measured = match case {
        Case::Jsonb1000 | Case::Jsonb1 | Case::Json1000 => bench.against_reference().await,
        Case::Messages1000 | Case::Messages1 => bench.messages().await,
        Case::TwoSlots => bench.two_slots().await,
    };
    measured.with_context(|| case.name())
}

/// One case, about to be measured.
struct Bench<'a> {
    services: &'a Services,
    case: Case,
    /// In the backlog.
    rows: u32,
    /// Those that count.
    rounds: u32,
    progress: &'a Progress,
}

impl Bench<'_> {
    /// The rounds, with the first, which does not count.
    fn all_rounds(&self) -> impl Iterator<Item = u32> + use<> {
        0..=self.rounds
    }

    fn now(&self, doing: &str) {
        self.progress.now(format!("{}: {doing}", self.case.name()));
    }

    /// Says how fast one run was.
    fn note(&self, round: u32, what: &str, rows_per_second: f64) {
        let (case, rounds) = (self.case.name(), self.rounds);
        self.progress.note(&format!(
            "{case}, round {round} of {rounds}: {what} {rows_per_second:.0} rows/s"
        ));
    }
}
