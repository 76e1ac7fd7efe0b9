//! The last step: an event is handed to Kafka's side, or it is said why not.

use std::sync::Arc;

use cdc_kafka::{HeaderRef, OutgoingRecord, Partition, SendError, TimestampMillis};
use cdc_outbox::{Event, InvalidRow};
use pg_replication::pgoutput::{Relation, Tuple, TupleValue};
use smallvec::SmallVec;

use super::Obstacle;
use crate::relay::outbound::Outbound;
use crate::relay::park::Remains;
use crate::relay::topic::{KnownTopics, Refusal, Standing};

/// A row of which no record could be made: its columns, as a JSON object of texts.
pub(super) fn remains_of_tuple(relation: &Relation, tuple: &Tuple) -> Remains {
    let mut columns = serde_json::Map::new();
    for (column, value) in relation.columns.iter().zip(tuple.iter()) {
        let text = match value {
            TupleValue::Text(bytes) | TupleValue::Binary(bytes) => {
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
            TupleValue::Null | TupleValue::UnchangedToast => None,
        };
        columns.insert(column.name.clone(), text.into());
    }
    Remains::of_payload(serde_json::Value::Object(columns).to_string().into_bytes())
}

/// A record that could not be handed to the producer.
pub(super) enum SendFailure {
    Row(InvalidRow),
    Topic(Arc<str>, Refusal),
    Kafka(cdc_kafka::Error),
}

/// A function of its parts, since the event borrows from the pipeline.
pub(super) fn send(
    outbound: &mut Outbound,
    topics: &mut KnownTopics,
    event: &Event<'_>,
) -> Result<Option<Obstacle>, SendFailure> {
    match topics.standing(event.topic) {
        Standing::Exists => {}
        Standing::Unseen => return Ok(Some(Obstacle::UnseenTopic(event.topic.into()))),
        Standing::Refused(refusal) => {
            return Err(SendFailure::Topic(event.topic.into(), refusal));
        }
    }
    let headers: SmallVec<[HeaderRef<'_>; 4]> = event
        .headers
        .iter()
        .map(|header| HeaderRef {
            name: &header.name,
            value: header.value.as_deref(),
        })
        .collect();
    let record = OutgoingRecord {
        topic: event.topic,
        partition: event.partition.map(|partition| Partition(partition.0)),
        key: event.key.as_deref(),
        value: event.value.as_deref(),
        headers: &headers,
        timestamp: event.timestamp.map(|at| TimestampMillis(at.0)),
    };
    match outbound.try_send(record) {
        Ok(()) => Ok(None),
        Err(SendError::Full) => Ok(Some(Obstacle::Full)),
        Err(SendError::Failed(source)) => Err(SendFailure::Kafka(source)),
    }
}
