//! A batch as arrays, one for each column: a statement has few parameters however many events it stores.

use std::borrow::Cow;
use std::time::SystemTime;

use cdc_event::{EventId, KafkaPosition, PartId};
use serde_json::Value;
use tokio_postgres::types::{PgLsn, ToSql, Type};

use crate::failed_event::NewFailedEvent;
use crate::fingerprint::Fingerprint;
use crate::origin::Origin;
use crate::record::headers_to_json;
use crate::text::without_nul;

#[derive(Default)]
pub(super) struct Columns<'a> {
    event_id: Vec<Option<Cow<'a, str>>>,
    system_id: Vec<Option<String>>,
    slot: Vec<Option<&'a str>>,
    commit_lsn: Vec<Option<PgLsn>>,
    change_index: Vec<Option<i64>>,
    consumer_group: Vec<Option<Cow<'a, str>>>,
    origin: Position<'a>,
    part: Vec<&'a str>,
    dead_letter: Position<'a>,
    topic: Vec<Option<&'a str>>,
    partition: Vec<Option<i32>>,
    key: Vec<Option<&'a [u8]>>,
    payload: Vec<Option<&'a [u8]>>,
    headers: Vec<Value>,
    record_timestamp: Vec<Option<i64>>,
    error_code: Vec<&'a str>,
    error_message: Vec<&'a str>,
    error_chain: Vec<Value>,
    error_backtrace: Vec<Option<&'a str>>,
    attempts: Vec<i32>,
    first_failed_at: Vec<Option<SystemTime>>,
    fingerprint: Vec<String>,
}

#[derive(Default)]
struct Position<'a> {
    topic: Vec<Option<Cow<'a, str>>>,
    partition: Vec<Option<i32>>,
    offset: Vec<Option<i64>>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(events: impl Iterator<Item = &'a NewFailedEvent>) -> Self {
        let mut columns = Self::default();
        for event in events {
            columns.push(event);
        }
        columns
    }

    fn push(&mut self, event: &'a NewFailedEvent) {
        self.event_id.push(
            event
                .event_id
                .as_ref()
                .map(EventId::as_str)
                .map(without_nul),
        );
        self.push_origin(&event.origin);
        self.dead_letter.push(event.dead_letter.as_ref());
        let contents = &event.contents;
        let target = event
            .target
            .as_ref()
            .filter(|target| target.has_usable_name() && contents.has_usable_names());
        self.topic.push(target.map(|target| target.topic.as_str()));
        self.partition
            .push(target.and_then(|target| target.partition));
        self.key.push(contents.key.as_deref());
        self.payload.push(contents.payload.as_deref());
        self.headers.push(headers_to_json(&contents.headers));
        self.record_timestamp.push(contents.timestamp_ms);
        self.error_code.push(event.error.code());
        self.error_message.push(event.error.message());
        self.error_chain.push(event.error.chain().into());
        self.error_backtrace.push(event.error.backtrace());
        self.attempts
            .push(i32::try_from(event.attempts.get()).unwrap_or(i32::MAX));
        // Both are somebody else's word: PostgreSQL keeps no time before the epoch's year that makes sense here, and
        // nothing failed in the future.
        let plausible = SystemTime::UNIX_EPOCH..=SystemTime::now();
        self.first_failed_at
            .push(event.first_failed_at.filter(|at| plausible.contains(at)));
        let fingerprint = Fingerprint::new(&event.origin, target, &event.error);
        self.fingerprint.push(fingerprint.as_str().to_owned());
    }

    fn push_origin(&mut self, origin: &'a Origin) {
        let (relay, consumer) = match origin {
            Origin::Relay {
                system_id,
                slot,
                position,
            } => (Some((system_id, slot, position)), None),
            Origin::Consumer {
                group,
                record,
                part,
            } => (None, Some((group, record, part))),
        };
        self.system_id
            .push(relay.map(|(system_id, ..)| system_id.get().to_string()));
        self.slot.push(relay.map(|(_, slot, _)| slot.as_str()));
        self.commit_lsn
            .push(relay.map(|(_, _, position)| position.commit_lsn.get().into()));
        self.change_index
            .push(relay.map(|(_, _, position)| saturating(position.index.get())));
        self.consumer_group
            .push(consumer.map(|(group, ..)| without_nul(group)));
        self.origin.push(consumer.map(|(_, record, _)| record));
        let part = consumer.and_then(|(.., part)| part.as_ref());
        self.part.push(part.map_or("", PartId::as_str));
    }

    /// In the order of [`COLUMNS`](super::statement::COLUMNS).
    pub(super) fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        vec![
            (&self.event_id, Type::TEXT_ARRAY),
            (&self.system_id, Type::TEXT_ARRAY),
            (&self.slot, Type::TEXT_ARRAY),
            (&self.commit_lsn, Type::PG_LSN_ARRAY),
            (&self.change_index, Type::INT8_ARRAY),
            (&self.consumer_group, Type::TEXT_ARRAY),
            (&self.origin.topic, Type::TEXT_ARRAY),
            (&self.origin.partition, Type::INT4_ARRAY),
            (&self.origin.offset, Type::INT8_ARRAY),
            (&self.part, Type::TEXT_ARRAY),
            (&self.dead_letter.topic, Type::TEXT_ARRAY),
            (&self.dead_letter.partition, Type::INT4_ARRAY),
            (&self.dead_letter.offset, Type::INT8_ARRAY),
            (&self.topic, Type::TEXT_ARRAY),
            (&self.partition, Type::INT4_ARRAY),
            (&self.key, Type::BYTEA_ARRAY),
            (&self.payload, Type::BYTEA_ARRAY),
            (&self.headers, Type::JSONB_ARRAY),
            (&self.record_timestamp, Type::INT8_ARRAY),
            (&self.error_code, Type::TEXT_ARRAY),
            (&self.error_message, Type::TEXT_ARRAY),
            (&self.error_chain, Type::JSONB_ARRAY),
            (&self.error_backtrace, Type::TEXT_ARRAY),
            (&self.attempts, Type::INT4_ARRAY),
            (&self.first_failed_at, Type::TIMESTAMPTZ_ARRAY),
            (&self.fingerprint, Type::TEXT_ARRAY),
        ]
    }
}

impl<'a> Position<'a> {
    fn push(&mut self, position: Option<&'a KafkaPosition>) {
        self.topic
            .push(position.map(|position| without_nul(&position.topic)));
        self.partition
            .push(position.map(|position| position.partition));
        self.offset.push(position.map(|position| position.offset));
    }
}

fn saturating(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
