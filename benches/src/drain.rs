//! How fast a backlog reaches Kafka, against how fast PostgreSQL's own client can throw it away.

mod backlog;
mod figures;
mod reference;
mod relay_run;

use anyhow::{Context, Result};
use cdc_e2e::progress::Progress;
use cdc_e2e::services::Services;

use crate::arguments::Effort;
use crate::outbox::{Outbox, PayloadType};

use backlog::Backlog;
#[cfg(test)]
pub(crate) use backlog::PAYLOAD_BYTES;
pub(crate) use figures::DrainFigures;
use figures::Round;

/// A kind of backlog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    payload: PayloadType,
    rows_per_transaction: u32,
    /// Rows a second of the relay, divided by those of the reference, that should be reached.
    target: f64,
}

/// What is measured.
pub(crate) const CASES: [Case; 3] = [
    Case {
        payload: PayloadType::Jsonb,
        rows_per_transaction: 1000,
        target: 1.1,
    },
    Case {
        payload: PayloadType::Jsonb,
        rows_per_transaction: 1,
        target: 1.3,
    },
    Case {
        payload: PayloadType::Json,
        rows_per_transaction: 1000,
        target: 1.4,
    },
];

impl Case {
    /// Its name, fit for a file.
    pub(crate) fn name(self) -> String {
        format!(
            "drain-{}-{}",
            self.payload.name(),
            self.rows_per_transaction
        )
    }
}

/// The slots of one round. Each sees the whole backlog.
struct Slots {
    reference: String,
    relay: String,
}

/// Fills the outbox, then lets reference and relay take turns, each on a slot of its own. Round 0 does not count.
pub(crate) async fn measure(
    services: &Services,
    case: Case,
    effort: &Effort,
    progress: &Progress,
) -> Result<DrainFigures> {
    let name = case.name();
    let run = measure_rounds(services, case, effort, progress);
    run.await.context(name)
}

async fn measure_rounds(
    services: &Services,
    case: Case,
    effort: &Effort,
    progress: &Progress,
) -> Result<DrainFigures> {
    let outbox = Outbox::create(services, case.payload).await?;
    let slots = add_slots(&outbox, effort.rounds + 1).await?;
    let backlog = Backlog {
        rows: effort.rows,
        rows_per_transaction: case.rows_per_transaction,
    };
    let filled = backlog
        .fill(&outbox, |rows| {
            progress.now(format!("{}: filling, {rows} rows", case.name()));
        })
        .await?;
    let mut rounds = Vec::new();
    for (round, slots) in (0..).zip(&slots) {
        let step = format!("{}, round {round} of {}", case.name(), effort.rounds);
        progress.now(format!("{step}: pg_recvlogical"));
        let reference = reference::run(&outbox, &slots.reference, &filled).await?;
        progress.now(format!("{step}: cdc-relay"));
        let relay = relay_run::run(services, &outbox, &slots.relay, &filled).await?;
        progress.note(&format!(
            "{step}: pg_recvlogical {:.0} rows/s, cdc-relay {:.0} rows/s",
            reference.rows_per_second, relay.rows_per_second
        ));
        // The broker spends the first one compiling: twice the CPU time of a later one.
        if round > 0 {
            rounds.push(Round { reference, relay });
        }
    }
    outbox.remove().await?;
    Ok(DrainFigures::new(&backlog, case, rounds))
}

async fn add_slots(outbox: &Outbox, rounds: u32) -> Result<Vec<Slots>> {
    let mut slots = Vec::new();
    for round in 0..rounds {
        let name = outbox.database().name();
        let round = Slots {
            reference: format!("{name}_reference_{round}"),
            relay: format!("{name}_relay_{round}"),
        };
        outbox.add_slot(&round.reference).await?;
        outbox.add_slot(&round.relay).await?;
        slots.push(round);
    }
    Ok(slots)
}
