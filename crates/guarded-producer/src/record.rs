//! The record of an event, as the relay makes it of the outbox's row.

use cdc_kafka::{HeaderRef, OutgoingRecord, Partition, TimestampMillis};
use cdc_outbox::{Encoder, Layout, OutboxSettings};
use pg_replication::pgoutput::{Column, Relation, RelationId, ReplicaIdentity, Tuple, TypeOid};

use crate::error::StartError;
use crate::event::{Event, InvalidEvent};

/// The columns of `cdc.outbox` in their order, with the OIDs of their types.
const COLUMNS: [(&str, u32); 7] = [
    ("id", 2950),
    ("aggregatetype", 25),
    ("aggregateid", 25),
    ("type", 25),
    ("payload", 114),
    ("headers", 3802),
    ("created_at", 1184),
];

/// Bytes that a record may take besides key, value and headers.
const OVERHEAD: usize = 512;

/// A record that owns its parts.
#[derive(Debug)]
pub(crate) struct Record {
    topic: String,
    partition: Option<Partition>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    timestamp: Option<TimestampMillis>,
}

/// Makes records of events. The encoder is the relay's own, so both ways give the same record.
#[derive(Debug)]
pub(crate) struct Recorder {
    encoder: Encoder,
    layout: Layout,
    max_bytes: u64,
}

impl Recorder {
    pub(crate) fn new(settings: OutboxSettings, max_bytes: u64) -> Result<Self, StartError> {
        let column = |(name, oid): (&str, u32)| Column {
            is_key: name == "id",
            name: name.to_owned(),
            type_oid: TypeOid(oid),
            type_modifier: -1,
        };
        let table = Relation {
            id: RelationId(1),
            namespace: "cdc".to_owned(),
            name: "outbox".to_owned(),
            replica_identity: ReplicaIdentity::Default,
            columns: COLUMNS.into_iter().map(column).collect(),
        };
        let encoder = Encoder::new(settings).map_err(StartError::Settings)?;
        let layout = encoder.layout(&table).map_err(StartError::Table)?;
        Ok(Self {
            encoder,
            layout,
            max_bytes,
        })
    }

    pub(crate) fn record(&mut self, event: &Event) -> Result<Record, InvalidEvent> {
        event.check()?;
        let (id, headers) = (event.id.to_string(), event.headers_json());
        let texts = [
            Some(id.as_str()),
            Some(&event.aggregate_type),
            event.key.as_deref(),
            Some(&event.event_type),
            event.payload.as_ref().map(|payload| payload.as_str()),
            headers.as_deref(),
            None,
        ];
        let tuple = Tuple::from_texts(texts.map(|text| text.map(str::as_bytes)));
        let limit = self.max_bytes;
        let too_large = |bytes| InvalidEvent::TooLarge { bytes, limit };
        let tuple = tuple.map_err(|_| too_large(usize::MAX))?;
        let made = self
            .encoder
            .row(&self.layout, &tuple, None)
            .map_err(InvalidEvent::Record)?;
        let record = Record {
            topic: made.topic.to_owned(),
            partition: made.partition.map(|partition| Partition(partition.0)),
            key: made.key.map(std::borrow::Cow::into_owned),
            value: made.value.map(std::borrow::Cow::into_owned),
            headers: made
                .headers
                .into_iter()
                .map(|header| {
                    let value = header.value.map(std::borrow::Cow::into_owned);
                    (header.name.into_owned(), value)
                })
                .collect(),
            timestamp: made.timestamp.map(|time| TimestampMillis(time.0)),
        };
        match record.bytes() + OVERHEAD {
            bytes if u64::try_from(bytes).is_ok_and(|bytes| bytes <= limit) => Ok(record),
            bytes => Err(too_large(bytes)),
        }
    }
}

impl Record {
    /// Bytes of key, value and headers.
    pub(crate) fn bytes(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers = self.headers.iter();
        let headers: usize = headers
            .map(|(name, value)| name.len() + length(value))
            .sum();
        length(&self.key) + length(&self.value) + headers
    }

    /// Shows it to `send`.
    pub(crate) fn outgoing<T>(&self, send: impl FnOnce(OutgoingRecord<'_>) -> T) -> T {
        let headers = self.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| HeaderRef {
                name,
                value: value.as_deref(),
            })
            .collect();
        send(OutgoingRecord {
            topic: &self.topic,
            partition: self.partition,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
            timestamp: self.timestamp,
        })
    }
}
