//! Rows and messages become events, and go out.

use cdc_event::{ChangeIndex, Position};
use pg_replication::pgoutput::{Message, RelationId, Tuple};

use super::sending::{SendFailure, remains_of_tuple, send};
use super::{Obstacle, Pipeline};
use crate::relay::error::{EventPlace, RelayError};
use crate::relay::notices::note;
use crate::relay::outbound::Outbound;
use crate::relay::park::{Poisoned, Remains};
use crate::relay::topic::Refusal;

impl Pipeline {
    /// A row of a table that was described.
    pub(super) fn row(
        &mut self,
        relation: RelationId,
        tuple: &Tuple,
        outbound: &mut Outbound,
    ) -> Result<Option<Obstacle>, RelayError> {
        let table = self.tables.get(relation)?;
        let Some(layout) = &table.layout else {
            return Ok(None);
        };
        let committed_at = self.transaction.map(|transaction| transaction.committed_at);
        let was_read = |id: &[u8]| {
            let both = self.transaction.as_ref().zip(self.overlap.as_ref());
            both.is_some_and(|(transaction, overlap)| overlap.has(id, transaction.xid))
        };
        let (failure, remains) = match self.contract.encoder.row(layout, tuple, committed_at) {
            Ok(event) if was_read(&event.id) => {
                self.metrics.suppressed.increment(1);
                return Ok(None);
            }
            Ok(event) => match send(outbound, &mut self.topics, &event) {
                Ok(None) => {
                    note(&event, &self.metrics);
                    self.last_sent_at = event.timestamp;
                    return Ok(None);
                }
                Ok(obstacle) => return Ok(obstacle),
                Err(failure) => (failure, Remains::of_event(&event)),
            },
            Err(reason) => (
                SendFailure::Row(reason),
                remains_of_tuple(&table.relation, tuple),
            ),
        };
        let table = || format!("{}.{}", table.relation.namespace, table.relation.name);
        let place = self
            .position()
            .map_or_else(|| EventPlace::Table(table()), EventPlace::Log);
        told(failure, remains, place)
    }

    /// A message that was written to the log.
    pub(super) fn emitted(
        &mut self,
        message: &Message,
        outbound: &mut Outbound,
    ) -> Result<Option<Obstacle>, RelayError> {
        if !self.contract.names_prefix(message) || !self.contract.takes_message(message) {
            return Ok(None);
        }
        let committed_at = self.transaction.map(|transaction| transaction.committed_at);
        let encoder = &mut self.contract.encoder;
        let (failure, remains) = match encoder.message(&message.content, committed_at) {
            Ok(event) => match send(outbound, &mut self.topics, &event) {
                Ok(None) => {
                    note(&event, &self.metrics);
                    self.last_sent_at = event.timestamp;
                    return Ok(None);
                }
                Ok(obstacle) => return Ok(obstacle),
                Err(failure) => (failure, Remains::of_event(&event)),
            },
            Err(reason) => (
                SendFailure::Row(reason),
                Remains::of_payload(message.content.to_vec()),
            ),
        };
        let position = self.position().unwrap_or(own_position(message));
        told(failure, remains, EventPlace::Log(position))
    }
}

/// Whether the event is at fault, or something else.
fn told(
    failure: SendFailure,
    remains: Remains,
    place: EventPlace,
) -> Result<Option<Obstacle>, RelayError> {
    let error = match failure {
        SendFailure::Row(reason) => RelayError::InvalidRow { place, reason },
        SendFailure::Topic(topic, Refusal::Missing) => RelayError::TopicMissing {
            topic: topic.to_string(),
        },
        SendFailure::Topic(topic, Refusal::Denied) => RelayError::TopicDenied {
            topic: topic.to_string(),
        },
        SendFailure::Kafka(source) => RelayError::refused(source, None),
    };
    if error.poison().is_none() {
        return Err(error);
    }
    Ok(Some(Obstacle::Poison(Box::new(Poisoned {
        error,
        remains,
    }))))
}

/// Of a message from outside of any transaction.
pub(in crate::relay) fn own_position(message: &Message) -> Position {
    Position {
        commit_lsn: message.lsn,
        index: ChangeIndex::FIRST,
    }
}
