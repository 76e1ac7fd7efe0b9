//! Kafka clients for the consumer, and what they read.

use std::collections::HashMap;

use anyhow::Result;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::Isolation;
use crate::event::{Event, Foreign};
use crate::journal::Journal;
use crate::topics::client_config;

/// The offset after the last record read, per topic and partition.
pub(super) type Positions = HashMap<(String, i32), i64>;

/// Where records come from, and the journal that they go to.
pub(super) struct Source {
    pub(super) brokers: String,
    pub(super) isolation: Isolation,
    pub(super) journal: Journal,
}

impl Source {
    /// A client with nothing assigned.
    pub(super) fn open(&self) -> Result<BaseConsumer> {
        let consumer = client_config(&self.brokers)
            // Required for `assign`; nothing is ever committed in it.
            .set("group.id", format!("e2e-{}", self.journal.run()))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", self.isolation.level())
            .set("fetch.error.backoff.ms", "50")
            .create()?;
        Ok(consumer)
    }

    /// A client that goes on at `positions`.
    pub(super) fn open_at<'a>(
        &self,
        positions: impl IntoIterator<Item = (&'a (String, i32), &'a i64)>,
    ) -> Result<BaseConsumer> {
        let mut assigned = TopicPartitionList::new();
        for ((topic, partition), &position) in positions {
            assigned.add_partition_offset(topic, *partition, Offset::Offset(position))?;
        }
        let consumer = self.open()?;
        consumer.assign(&assigned)?;
        Ok(consumer)
    }

    /// Writes down what a record is.
    pub(super) fn take(&self, record: &BorrowedMessage<'_>, positions: &mut Positions) {
        let partition = record.partition();
        if let Some(position) = positions.get_mut(&(record.topic().to_owned(), partition)) {
            *position = record.offset() + 1;
        }
        self.journal.receive(self.read(record), partition);
    }

    /// The event in a record: header `id`, key and value must all fit, and so must the topic.
    fn read(&self, record: &BorrowedMessage<'_>) -> Result<Event, Foreign> {
        let headers = record
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter());
        let mut ids = headers
            .filter(|header| header.key == "id")
            .filter_map(|header| header.value);
        let id = ids.next().unwrap_or_default();
        if ids.next().is_some() {
            return Err(Foreign("a record has two headers `id`".into()));
        }
        let key = record.key().unwrap_or_default();
        let payload = record.payload().unwrap_or_default();
        let event = Event::read(self.journal.run(), id, key, payload)?;
        let aggregate = event.key.aggregate().name();
        if record.topic().rsplit('.').next() != Some(aggregate) {
            return Err(Foreign(format!(
                "{aggregate} came in topic {}",
                record.topic()
            )));
        }
        Ok(event)
    }
}
