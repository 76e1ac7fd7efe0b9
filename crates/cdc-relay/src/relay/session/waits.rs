//! What a session waits for. The stream's connection is kept alive meanwhile, whatever it is.

use std::sync::Arc;

use pg_replication::Filled;
use pg_replication::pgoutput::RelationId;
use tokio::time::{Instant, sleep_until};

use super::{RelaySession, Stepped};
use crate::config::Poison;
use crate::relay::error::RelayError;
use crate::relay::hold;
use crate::relay::outbound::Outbound;
use crate::relay::stall::Verdict;

impl RelaySession<'_> {
    /// Nothing was delivered for a while: is Kafka away, or has the producer lost its way?
    pub(super) async fn look_at_kafka(&mut self) -> Result<Stepped, RelayError> {
        let topics = self.pipeline.topics();
        let look = self.topics.have_leaders(&topics);
        let held = hold(&mut self.stream, &self.server);
        let well = if self.outbound.is_committing() {
            tokio::select! {
                well = look => well,
                // Nobody takes reports meanwhile, so that old ones would look like new ones for ever.
                committed = self.outbound.committed() => return Ok(committed.into()),
                error = held => return Err(error),
            }
        } else {
            tokio::select! {
                well = look => well,
                () = self.outbound.producer().delivered() => return Ok(Stepped::On),
                error = held => return Err(error),
            }
        };
        match self.stall.looked(well, Instant::now()) {
            Verdict::Patience => Ok(Stepped::On),
            Verdict::Stalled => Err(RelayError::ProducerStalled),
        }
    }

    /// Waits for the transaction in Kafka. PostgreSQL goes on sending into the socket meanwhile.
    pub(super) async fn finish_commit(&mut self) -> Result<(), RelayError> {
        let unread = self.relay.state.not_reading();
        tokio::select! {
            committed = self.outbound.committed() => committed?,
            error = hold(&mut self.stream, &self.server) => return Err(error),
        }
        drop(unread);
        self.outbound.finish(&mut self.stream, &self.relay.metrics);
        self.progressed();
        Ok(())
    }

    /// Waits for rows of the table.
    pub(super) async fn read_table(&mut self) -> Result<(), RelayError> {
        let Some(backfill) = &mut self.backfill else {
            return Ok(());
        };
        let due = self.outbound.due(true, self.careful.is_some());
        let _unread = self.relay.state.not_reading();
        let more = tokio::select! {
            more = backfill.read() => more?,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return Ok(()),
            error = hold(&mut self.stream, &self.server) => return Err(error),
        };
        if !more && let Some(backfill) = self.backfill.take() {
            let overlap = backfill.finish(&mut self.outbound);
            self.pipeline.reading_is_over(overlap);
        }
        Ok(())
    }

    /// Waits for bytes or, when caught up, delivery reports. With a backlog the reports are taken after each
    /// read anyway; to be woken for each would cost more than the work itself.
    pub(super) async fn more(&mut self) -> Result<(), RelayError> {
        let behind = self.stream.is_behind();
        let due = self.due();
        let filled = tokio::select! {
            filled = self.stream.fill() => filled,
            () = self.outbound.producer().delivered(), if !behind => return Ok(()),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return Ok(()),
        };
        match filled {
            Ok(Filled::Bytes) => self.relay.state.wire_activity(),
            Ok(Filled::Nothing) => {}
            Err(source) => {
                return Err(RelayError::Postgres {
                    doing: "read the stream",
                    source,
                });
            }
        }
        Ok(())
    }

    /// Waits until the fate of the only record under way is known.
    pub(super) async fn one_by_one(&mut self) -> Result<(), RelayError> {
        if matches!(self.outbound, Outbound::ExactlyOnce(_))
            && self.outbound.advance(self.pipeline.partial())?
        {
            return Ok(());
        }
        if self.outbound.is_under_way() {
            self.delivered().await?;
        }
        Ok(())
    }

    /// Waits until a quarter of the producer's bound is free: not for a record at a time.
    pub(super) async fn wait_for_room(&mut self) -> Result<(), RelayError> {
        while !(self.outbound.has_room() || self.is_due() || self.outbound.is_committing()) {
            self.delivered().await?;
            self.settle()?;
        }
        Ok(())
    }

    /// Waits for delivery reports, however long that takes, without reading.
    pub(in crate::relay) async fn delivered(&mut self) -> Result<(), RelayError> {
        let _unread = self.relay.state.not_reading();
        tokio::select! {
            () = self.outbound.producer().delivered() => Ok(()),
            error = hold(&mut self.stream, &self.server) => Err(error),
        }
    }

    /// Makes sure that a topic is there before the first record goes to it.
    pub(super) async fn look_for(&mut self, topic: Arc<str>) -> Result<(), RelayError> {
        let _unread = self.relay.state.not_reading();
        tokio::select! {
            found = self.topics.find(&topic) => match found {
                Ok(()) => self.pipeline.topic_exists(topic),
                Err(error) => match (self.relay.config.relay.poison, error.refuses_topic()) {
                    (Poison::Park, Some(refusal)) => self.pipeline.topic_refused(topic, refusal),
                    _ => return Err(error),
                },
            },
            error = hold(&mut self.stream, &self.server) => return Err(error),
        }
        Ok(())
    }

    /// Finds out whose part a table is, before its first row.
    pub(super) async fn look_whose_part(&mut self, relation: RelationId) -> Result<(), RelayError> {
        let _unread = self.relay.state.not_reading();
        let membership = tokio::select! {
            found = self.partitions.find(relation) => found?,
            error = hold(&mut self.stream, &self.server) => return Err(error),
        };
        self.pipeline.table_found(relation, membership);
        Ok(())
    }
}
