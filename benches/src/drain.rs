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
mod rounds;
mod two_slots;

use anyhow::{Context, Result};
use cdc_e2e::progress::Progress;
use cdc_e2e::services::Services;

use crate::arguments::Effort;
use crate::report::Figures;
use rounds::{Round, Rounds};

#[cfg(test)]
pub(crate) use backlog::PAYLOAD_BYTES;
pub(crate) use case::Case;
pub(crate) use comparison::{ComparisonFigures, ComparisonRound};
pub(crate) use figures::{DrainFigures, ModeFigures, RelayRun};

/// Measures one case. Its first rounds do not count: the broker spends them compiling.
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
    /// All rounds that there may be need of, those that do not count with them.
    fn all_rounds(&self) -> impl Iterator<Item = u32> + use<> {
        1..=Rounds::most(self.rounds)
    }

    fn now(&self, doing: &str) {
        self.progress.now(format!("{}: {doing}", self.case.name()));
    }

    /// Says how fast one run was.
    fn note(&self, round: Round, what: &str, rows_per_second: f64) {
        let case = self.case.name();
        self.progress.note(&format!(
            "{case}, {round}: {what} {rows_per_second:.0} rows/s"
        ));
    }
}
