//! The consumer's thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::Signals;
use crate::event::{Event, Foreign};
use crate::journal::Journal;
use crate::topics::{Topics, client_config};

/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(20);

/// Time between two looks for topics that don't exist yet.
const LOOK_FOR_TOPICS: Duration = Duration::from_millis(250);

/// With records left to read and none coming for this long, the consumer is given up.
const STALLED: Duration = Duration::from_secs(5);

/// How long the broker may take to answer a question.
const ANSWER: Duration = Duration::from_secs(2);

pub(super) struct PollLoop {
    brokers: String,
    consumer: BaseConsumer,
    journal: Journal,
    signals: Arc<Signals>,
    awaited: Vec<String>,
    next_look: Instant,
    last_record: Instant,
    /// The offset after the last record read, per partition assigned.
    positions: HashMap<(String, i32), i64>,
}

impl PollLoop {
    pub(super) fn new(
        brokers: &str,
        topics: &Topics,
        journal: Journal,
        signals: Arc<Signals>,
    ) -> Result<Self> {
        let consumer = open(brokers, &journal)?;
        let awaited = topics.of_workload();
        let positions = HashMap::new();
        Ok(Self {
            brokers: brokers.to_owned(),
            consumer,
            journal,
            signals,
            awaited,
            next_look: Instant::now(),
            last_record: Instant::now(),
            positions,
        })
    }

    pub(super) fn run(mut self) {
        while !self.signals.stop.load(Ordering::Relaxed) {
            if !self.awaited.is_empty() && Instant::now() >= self.next_look {
                self.look_for_topics();
            }
            match self.consumer.poll(POLL) {
                Some(Ok(record)) => {
                    Self::take(&self.journal, &mut self.positions, &record);
                    self.last_record = Instant::now();
                }
                // The broker is away or back; librdkafka goes on by itself.
                Some(Err(_)) => {}
                None => self.note_end(),
            }
        }
    }

    fn look_for_topics(&mut self) {
        self.awaited.retain(|topic| {
            let partitions = self.consumer.fetch_metadata(Some(topic), ANSWER);
            let count =
                partitions.map_or(0, |m| m.topics().iter().map(|t| t.partitions().len()).sum());
            let mut added = TopicPartitionList::new();
            for partition in (0..).take(count) {
                if added
                    .add_partition_offset(topic, partition, Offset::Beginning)
                    .is_ok()
                {
                    self.positions.insert((topic.clone(), partition), 0);
                }
            }
            count == 0 || self.consumer.incremental_assign(&added).is_err()
        });
        self.next_look = Instant::now() + LOOK_FOR_TOPICS;
    }

    fn take(
        journal: &Journal,
        positions: &mut HashMap<(String, i32), i64>,
        record: &BorrowedMessage<'_>,
    ) {
        let partition = record.partition();
        if let Some(position) = positions.get_mut(&(record.topic().to_owned(), partition)) {
            *position = record.offset() + 1;
        }
        journal.receive(read(journal, record), partition);
    }

    fn note_end(&mut self) {
        if !self.signals.read_to_end.load(Ordering::Relaxed)
            || self.signals.at_end.load(Ordering::Relaxed)
        {
            return;
        }
        self.look_for_topics();
        let at_end = self
            .positions
            .iter()
            .all(|((topic, partition), &position)| {
                let watermarks = self.consumer.fetch_watermarks(topic, *partition, ANSWER);
                watermarks.is_ok_and(|(_, end)| position >= end)
            });
        self.signals.at_end.store(at_end, Ordering::Relaxed);
        if !at_end && self.last_record.elapsed() > STALLED {
            self.reopen();
        }
    }

    /// librdkafka forgets a partition for good whose broker was fenced for a moment (its issue 5430). What is
    /// tested is the relay, not the consumer: it gets a new one, at the same positions.
    fn reopen(&mut self) {
        let mut positions = TopicPartitionList::new();
        for ((topic, partition), &position) in &self.positions {
            if positions
                .add_partition_offset(topic, *partition, Offset::Offset(position))
                .is_err()
            {
                return;
            }
        }
        if let Ok(consumer) = open(&self.brokers, &self.journal)
            && consumer.incremental_assign(&positions).is_ok()
        {
            self.consumer = consumer;
            self.last_record = Instant::now();
        }
    }
}

fn open(brokers: &str, journal: &Journal) -> Result<BaseConsumer> {
    let consumer = client_config(brokers)
        // Required for `assign`; nothing is ever committed in it.
        .set("group.id", format!("e2e-{}", journal.run()))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("fetch.error.backoff.ms", "50")
        .create()?;
    Ok(consumer)
}

/// The event in a record: header `id`, key and value must all fit, and so must the topic.
fn read(journal: &Journal, record: &BorrowedMessage<'_>) -> Result<Event, Foreign> {
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
    let event = Event::read(journal.run(), id, key, record.payload().unwrap_or_default())?;
    let aggregate = event.key.aggregate().name();
    if record.topic().rsplit('.').next() != Some(aggregate) {
        return Err(Foreign(format!(
            "{aggregate} came in topic {}",
            record.topic()
        )));
    }
    Ok(event)
}
