//! The consumer's thread.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::Signals;
use super::source::{Positions, Source};
use crate::topics::Topics;

/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(20);

/// Time between two looks for topics that don't exist yet.
const LOOK_FOR_TOPICS: Duration = Duration::from_millis(250);

/// With an end to be reached and nothing coming for this long, a client is given up for a new one.
const STALLED: Duration = Duration::from_secs(5);

/// How long the broker may take to answer a question.
const ANSWER: Duration = Duration::from_secs(2);

pub(super) struct PollLoop {
    source: Source,
    signals: Arc<Signals>,
    consumer: BaseConsumer,
    awaited: Vec<String>,
    next_look: Instant,
    /// Of every partition assigned.
    positions: Positions,
}

impl PollLoop {
    pub(super) fn new(source: Source, topics: &Topics, signals: Arc<Signals>) -> Result<Self> {
        Ok(Self {
            consumer: source.open()?,
            source,
            signals,
            awaited: topics.of_workload(),
            next_look: Instant::now(),
            positions: Positions::new(),
        })
    }

    pub(super) fn run(mut self) {
        while !self.is_stopped() && !self.signals.read_to_end.load(Ordering::Relaxed) {
            if !self.awaited.is_empty() && Instant::now() >= self.next_look {
                self.look_for_topics();
            }
            // After an error, librdkafka goes on by itself when the broker is back.
            if let Some(Ok(record)) = self.consumer.poll(POLL) {
                self.source.take(&record, &mut self.positions);
            }
        }
        self.look_for_topics();
        let topics: BTreeSet<_> = self
            .positions
            .keys()
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in topics {
            while !self.is_stopped() && !self.reads_to_end(&topic) {}
        }
        let at_end = !self.is_stopped();
        self.signals.at_end.store(at_end, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.signals.stop.load(Ordering::Relaxed)
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

    /// Reads what `topic` has beyond the positions. False if that should be tried again.
    ///
    /// The end is where the broker says it is, to a client that has asked after the last event was sent: offsets do not
    /// tell, since aborted records and the marks of transactions have some too. Each topic has a client of its own, since
    /// librdkafka's report of an end names the partition, but not the topic.
    ///
    /// A new client is also the cure for librdkafka's issue 5430: it forgets a partition for good whose broker was
    /// fenced for a moment.
    fn reads_to_end(&mut self, topic: &str) -> bool {
        let of_topic = |position: &(&(String, i32), &i64)| position.0.0 == topic;
        let Ok(consumer) = self.source.open_at(self.positions.iter().filter(of_topic)) else {
            return false;
        };
        let mut unread: HashSet<i32> = self
            .positions
            .iter()
            .filter(of_topic)
            .map(|((_, partition), _)| *partition)
            .collect();
        let mut last_news = Instant::now();
        while !unread.is_empty() {
            if self.is_stopped() || last_news.elapsed() > STALLED {
                return false;
            }
            match consumer.poll(POLL) {
                Some(Ok(record)) => self.source.take(&record, &mut self.positions),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    unread.remove(&partition);
                }
                Some(Err(_)) | None => continue,
            }
            last_news = Instant::now();
        }
        true
    }
}
