//! The plan is put into effect: slot, checkpoint and rows of the tables stand where the stream begins.

use pg_lsn::Lsn;
use pg_replication::{CreateSlot, CreatedSlot, Session, SnapshotAction};

use super::plan::Plan;
use super::{ServerSide, postgres};
use crate::relay::Relay;
use crate::relay::backfill::{Backfill, TableBackfill};
use crate::relay::checkpoint::Checkpoint;
use crate::relay::error::RelayError;
use crate::relay::gap::SlotFacts;
use crate::relay::kafka_side::KafkaSide;

/// The slot is being held.
pub(super) async fn begin_at_slot(
    relay: &Relay,
    server: &ServerSide,
    kafka: &mut KafkaSide,
    plan: Plan,
) -> Result<(Checkpoint, Option<TableBackfill>), RelayError> {
    let (shared, wanted) = match plan {
        Plan::Continue(mut checkpoint) => {
            // A position on the next timeline must not be taken for one that was left with the old one.
            checkpoint.timeline = server.identity.timeline;
            let backfill = match &checkpoint.backfill {
                Some(backfill) => Some(TableBackfill::resume(relay, backfill).await?),
                None => None,
            };
            return Ok((checkpoint, backfill));
        }
        Plan::Begin { shared, backfill } => (shared, backfill),
    };
    let confirmed = match server.slot.facts {
        SlotFacts::Ready { confirmed } => confirmed,
        SlotFacts::Missing | SlotFacts::Lost => Lsn::ZERO,
    };
    let mut checkpoint = Checkpoint::at(
        confirmed.max(shared),
        server.identity.timeline,
        server.slot.catalog_xmin,
    );
    let backfill = match wanted {
        Some(wanted) => {
            let overlap = server.slot.catalog_xmin;
            Some(TableBackfill::begin(relay, wanted, None, overlap).await?)
        }
        None => None,
    };
    checkpoint.backfill = backfill.as_ref().map(TableBackfill::plan);
    kafka.establish(relay, &checkpoint).await?;
    Ok((checkpoint, backfill))
}

/// There is no slot that can be streamed from.
pub(super) async fn begin_with_new_slot(
    relay: &Relay,
    server: &ServerSide,
    session: &mut Session,
    kafka: &mut KafkaSide,
    plan: Plan,
) -> Result<(Checkpoint, Option<TableBackfill>), RelayError> {
    let wanted = match plan {
        Plan::Begin { backfill, .. } => backfill,
        Plan::Continue(_) => None,
    };
    if kafka.checkpoint.is_none()
        && let Some(wanted) = wanted
    {
        // A crash after the slot was made would otherwise look like a slot without anything before it.
        let mut intent = Checkpoint::at(Lsn::ZERO, server.identity.timeline, None);
        intent.backfill = Some(Backfill::intended(wanted));
        kafka.establish(relay, &intent).await?;
    }
    let created = create_slot(relay, server, session).await?;
    let mut checkpoint = Checkpoint::at(created.consistent_point, server.identity.timeline, None);
    let backfill = match wanted {
        Some(wanted) => {
            let exported = created.snapshot_name.as_deref();
            Some(TableBackfill::begin(relay, wanted, exported, None).await?)
        }
        None => None,
    };
    checkpoint.backfill = backfill.as_ref().map(TableBackfill::plan);
    kafka.establish(relay, &checkpoint).await?;
    Ok((checkpoint, backfill))
}

/// Makes the slot, in place of one that has lost its log.
async fn create_slot(
    relay: &Relay,
    server: &ServerSide,
    session: &mut Session,
) -> Result<CreatedSlot, RelayError> {
    if server.slot.facts == SlotFacts::Lost {
        session
            .drop_slot(&relay.slot)
            .await
            .map_err(postgres("drop the slot that has lost its log"))?;
    }
    let created = session
        .create_slot(&CreateSlot {
            name: relay.slot.clone(),
            temporary: false,
            failover: true,
            snapshot: SnapshotAction::Export,
        })
        .await
        .map_err(postgres("create the replication slot"))?;
    tracing::info!(slot = %relay.slot, at = %created.consistent_point, "made the slot");
    Ok(created)
}
