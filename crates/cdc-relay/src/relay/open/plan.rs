//! What the two sides remember is compared, and it is decided how the session goes on.

use pg_lsn::Lsn;

use super::ServerSide;
use crate::config::{OnGap, Snapshot};
use crate::failure::Failure;
use crate::metric;
use crate::relay::Relay;
use crate::relay::backfill::Wanted;
use crate::relay::checkpoint::Checkpoint;
use crate::relay::error::RelayError;
use crate::relay::gap::{self, Gap, ServerFacts, SlotFacts};
use crate::relay::kafka_side::KafkaSide;

/// How the session is to go on.
#[derive(Debug)]
pub(super) enum Plan {
    /// From the checkpoint.
    Continue(Checkpoint),
    /// From the slot's position.
    Begin {
        /// Everything before is in Kafka, even if the slot stands further back.
        shared: Lsn,
        backfill: Option<Wanted>,
    },
}

/// Compares the server with the checkpoint; the one place where the policy for gaps is applied.
pub(super) fn decide(
    relay: &Relay,
    server: &ServerSide,
    kafka: &KafkaSide,
    noticed: Option<Gap>,
) -> Result<Plan, RelayError> {
    let new_slot = !matches!(server.slot.facts, SlotFacts::Ready { .. });
    if let Some(wanted) = kafka.checkpoint.as_ref().and_then(Checkpoint::intent) {
        return Ok(Plan::Begin {
            shared: Lsn::ZERO,
            backfill: Some(wanted),
        });
    }
    let gap = match (&kafka.checkpoint, kafka.elsewhere) {
        (Some(checkpoint), _) => {
            let facts = ServerFacts {
                identity: &server.identity,
                left_timeline_at: server.left_timeline_at(checkpoint),
            };
            noticed.or_else(|| gap::between(checkpoint, facts, server.slot.facts))
        }
        (None, Some(before)) => Some(Gap::OtherSystem {
            before,
            now: server.identity.system_id,
            ends: server.identity.flush_lsn,
        }),
        (None, None) => None,
    };
    match (gap, &kafka.checkpoint) {
        (Some(gap), checkpoint) => bridge(relay, gap, checkpoint.as_ref()),
        (None, Some(checkpoint)) => Ok(Plan::Continue(checkpoint.clone())),
        (None, None) if new_slot && relay.config.relay.snapshot == Snapshot::Initial => {
            Ok(Plan::Begin {
                shared: Lsn::ZERO,
                backfill: Some(Wanted::Everything),
            })
        }
        (None, None) if new_slot => {
            let slot = relay.slot.to_string();
            Err(match server.slot.facts {
                SlotFacts::Lost => RelayError::SlotLost { slot },
                SlotFacts::Missing | SlotFacts::Ready { .. } => RelayError::SlotMissing { slot },
            })
        }
        (None, None) => Ok(Plan::Begin {
            shared: Lsn::ZERO,
            backfill: None,
        }),
    }
}

fn bridge(relay: &Relay, gap: Gap, checkpoint: Option<&Checkpoint>) -> Result<Plan, RelayError> {
    ::metrics::counter!(metric::GAPS).increment(1);
    let shared = match gap {
        Gap::TimelineLeft {
            left, delivered, ..
        } => left.min(delivered),
        _ => Lsn::ZERO,
    };
    let backfill = match relay.config.relay.on_gap {
        OnGap::Fail => return Err(RelayError::Gap(gap)),
        OnGap::Accept => None,
        OnGap::ReplayTable => Some(Wanted::Missing {
            since: checkpoint
                .filter(|_| !gap.voids_the_checkpoint())
                .and_then(Checkpoint::horizon),
        }),
    };
    let failure = Failure::from_relay(RelayError::Gap(gap), &relay.config);
    tracing::error!(
        code = %failure.code(),
        error = failure.one_line(),
        replay = backfill.is_some(),
        "going on after a gap, as `relay.on_gap` says"
    );
    Ok(Plan::Begin { shared, backfill })
}
