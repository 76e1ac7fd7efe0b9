//! Records on their way to Kafka, and what may be confirmed to PostgreSQL because of them.
//!
//! ```text
//!  records, marks ─▶ AtLeastOnce: acknowledged ─▶ checkpoint acknowledged ─▶ CommitToken given back
//!                 └▶ ExactlyOnce: transaction of records and checkpoint committed ─▶ CommitToken given back
//! ```
//!
//! In both, a checkpoint that speaks of a position is in Kafka before PostgreSQL hears of the position.

mod at_least_once;
mod checkpoints;
mod exactly_once;
mod mark;

use std::time::Duration;

use cdc_kafka::{InFlight, OrderedProducer, OutgoingRecord, OwnedRecord, SendError};
use pg_replication::ReplicationStream;
use tokio::time::Instant;

use super::Relay;
use super::checkpoint::PartialTransaction;
use super::error::RelayError;
use crate::relay_state::RelayMetrics;

pub(super) use at_least_once::AtLeastOnce;
pub(super) use checkpoints::Checkpoints;
pub(super) use exactly_once::{ExactlyOnce, TransactionLimits};
pub(super) use mark::{Frontier, Mark, MarkKind};

/// A slot that moves without events is noted this often: it frees log, nobody waits for it.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// One of the two guarantees.
#[derive(Debug)]
pub(super) enum Outbound {
    AtLeastOnce(AtLeastOnce),
    ExactlyOnce(ExactlyOnce),
}

impl Outbound {
    /// The producer under it, to be asked how it is.
    pub(super) fn producer(&self) -> &OrderedProducer {
        match self {
            Self::AtLeastOnce(outbound) => outbound.producer(),
            Self::ExactlyOnce(outbound) => outbound.producer(),
        }
    }

    pub(super) fn in_flight(&self) -> InFlight {
        self.producer().in_flight()
    }

    /// The newest checkpoint speaks of rows that are read from their table.
    pub(super) fn notes_backfill(&self) -> bool {
        match self {
            Self::AtLeastOnce(outbound) => outbound.checkpoints().note_backfill(),
            Self::ExactlyOnce(outbound) => outbound.checkpoints().note_backfill(),
        }
    }

    /// Something was sent whose fate is not known.
    pub(super) fn is_under_way(&self) -> bool {
        match self {
            Self::AtLeastOnce(outbound) => outbound.producer().in_flight().records > 0,
            Self::ExactlyOnce(outbound) => outbound.is_under_way(),
        }
    }

    /// There is room for a batch of records, not just for one.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::AtLeastOnce(outbound) => outbound.has_room(),
            Self::ExactlyOnce(outbound) => outbound.has_room(),
        }
    }

    /// Hands a record over. Never waits.
    pub(super) fn try_send(&mut self, record: OutgoingRecord<'_>) -> Result<(), SendError> {
        match self {
            Self::AtLeastOnce(outbound) => outbound.try_send(record),
            Self::ExactlyOnce(outbound) => outbound.try_send(record),
        }
    }

    /// Notes a place between the records so far and those to come.
    pub(super) fn mark(&mut self, mark: Mark) {
        match self {
            Self::AtLeastOnce(outbound) => outbound.mark(mark),
            Self::ExactlyOnce(outbound) => outbound.mark(mark),
        }
    }

    /// Takes in what Kafka has reported and gives back tokens whose checkpoint is in Kafka. Never waits.
    ///
    /// # Errors
    ///
    /// A record that Kafka refused. What came before it is dealt with first; nothing after it will be.
    pub(super) fn settle(
        &mut self,
        stream: &mut ReplicationStream,
        metrics: &RelayMetrics,
    ) -> Result<(), RelayError> {
        match self {
            Self::AtLeastOnce(outbound) => outbound.settle(stream, metrics),
            Self::ExactlyOnce(outbound) => outbound.settle(),
        }
    }

    /// When the next checkpoint is due; `None` while there is nothing to note, or not yet.
    pub(super) fn due(&self, behind: bool, one_by_one: bool) -> Option<Instant> {
        match self {
            // A producer that ends at the one record under way would give the checkpoint up.
            Self::AtLeastOnce(_) if one_by_one && self.is_under_way() => None,
            Self::AtLeastOnce(outbound) => outbound.due(),
            Self::ExactlyOnce(outbound) => outbound.due(behind),
        }
    }

    /// Begins to write a checkpoint, if there is something to note; `partial` is where the stream stands in a
    /// transaction. False when there is no room for it until something is delivered.
    ///
    /// # Errors
    ///
    /// The producer takes nothing any more.
    pub(super) fn advance(
        &mut self,
        partial: Option<PartialTransaction>,
    ) -> Result<bool, RelayError> {
        match self {
            Self::AtLeastOnce(outbound) => outbound.advance(),
            Self::ExactlyOnce(outbound) => outbound.advance(partial),
        }
    }

    /// A transaction is being committed: nothing can be sent until [`finish`](Self::finish) has returned.
    pub(super) fn is_committing(&self) -> bool {
        match self {
            Self::AtLeastOnce(_) => false,
            Self::ExactlyOnce(outbound) => outbound.is_committing(),
        }
    }

    /// Waits for the commit that [`advance`](Self::advance) began.
    ///
    /// Cancellation safe: the commit goes on, and calling again waits for the same one.
    pub(super) async fn committed(&mut self) -> Result<(), RelayError> {
        match self {
            Self::AtLeastOnce(_) => Ok(()),
            Self::ExactlyOnce(outbound) => outbound.committed().await,
        }
    }

    /// Gives back the tokens of a transaction that has been committed.
    pub(super) fn finish(&mut self, stream: &mut ReplicationStream, metrics: &RelayMetrics) {
        match self {
            Self::AtLeastOnce(_) => {}
            Self::ExactlyOnce(outbound) => outbound.finish(stream, metrics),
        }
    }

    /// Everything that was sent or marked is in Kafka, with its checkpoint.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::AtLeastOnce(outbound) => outbound.is_settled(),
            Self::ExactlyOnce(outbound) => outbound.is_settled(),
        }
    }

    /// As [`is_settled`](Self::is_settled), but for a record that was refused and what came after it.
    pub(super) fn is_settled_before_the_refused(&self) -> bool {
        match self {
            Self::AtLeastOnce(outbound) => outbound.is_settled_before_the_refused(),
            Self::ExactlyOnce(outbound) => outbound.is_settled(),
        }
    }

    /// The record that was not sent because its transaction failed, if that held no other.
    pub(super) fn take_unsent(&mut self) -> Option<Box<OwnedRecord>> {
        match self {
            Self::AtLeastOnce(_) => None,
            Self::ExactlyOnce(outbound) => outbound.take_unsent(),
        }
    }

    /// A topic that takes nothing ends the session: Kafka refuses to abort the transaction in which none was added, and
    /// librdkafka cannot go on then. The next session knows the topic, and parks what is for it.
    pub(super) fn fails_with_a_topic(&self) -> bool {
        matches!(self, Self::ExactlyOnce(_))
    }

    /// A record was refused while it was the only one under way, and has been dealt with otherwise: goes on after it.
    ///
    /// Not cancellation safe.
    pub(super) async fn pass_over_refused(&mut self, relay: &Relay) -> Result<(), RelayError> {
        match self {
            Self::AtLeastOnce(outbound) => outbound.pass_over_refused(relay),
            Self::ExactlyOnce(outbound) => outbound.pass_over_refused().await,
        }
    }

    /// What came before a refused record can still be noted, though the producer may have ended there. False when it takes
    /// nothing any more.
    pub(super) fn can_note(&mut self, relay: &Relay) -> Result<bool, RelayError> {
        if let Self::AtLeastOnce(outbound) = self {
            outbound.renew_producer(relay)?;
        }
        Ok(self.producer().fatal().is_none())
    }

    /// Lets go of the connections; what is not in Kafka by then is given up. False when that took too long.
    pub(super) async fn close(self, limit: Duration) -> bool {
        match self {
            Self::AtLeastOnce(outbound) => outbound.close(limit).await,
            Self::ExactlyOnce(outbound) => outbound.close(limit).await,
        }
    }
}
