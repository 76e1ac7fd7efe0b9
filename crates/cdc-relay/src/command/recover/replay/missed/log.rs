//! Reads what was missed where it stands in Kafka.

use std::ops::ControlFlow;
use std::time::Duration;

use cdc_event::{Headers, KafkaPosition, PartId, Record};
use cdc_kafka::{Offset, PartitionLog, ScannedRecord, TopicPartition};
use notifier::{EndpointId, MissedEvent, event_id};
use tokio::time::timeout;

use super::super::BATCH_BYTES;
use super::super::topics::{KnownTopics, Partitions};
use super::outcome::Reason;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};

/// Records that are looked at in one go, whether they were missed or not.
const LOOKED_AT: usize = 100_000;

/// Bytes of keys and values that are looked at in one go: what is far apart must not take longer than [`READ_LIMIT`].
const LOOKED_AT_BYTES: usize = 64 << 20;

/// How long that may take.
const READ_LIMIT: Duration = Duration::from_secs(120);

/// What was read of a partition.
#[derive(Debug)]
pub(super) struct Read {
    /// Those that were found, each with its place among the wanted.
    pub(super) records: Vec<(usize, Record)>,
    /// How many of the wanted were looked for.
    pub(super) looked_at: usize,
    /// Why the others of these were not found.
    pub(super) reason: Reason,
}

/// Where the records are.
#[derive(Debug)]
pub(super) struct MissedLog<'a> {
    config: &'a Config,
    log: PartitionLog,
    topics: KnownTopics<'a>,
    /// The topic that was looked at last, and what there is of it.
    topic: Option<(String, Option<Partitions>)>,
    part: PartId,
}

/// What is collected on the way through a partition.
struct Collected {
    wanted: Vec<(i64, String)>,
    /// The first of them that was not come to.
    place: usize,
    records: Vec<(usize, Record)>,
    bytes: u64,
    looked_at: usize,
    looked_at_bytes: usize,
    /// Where to go on; `None` when the partition has ended.
    next: Option<i64>,
    part: PartId,
}

impl<'a> MissedLog<'a> {
    /// Looks whether the cluster answers. What is read is for `endpoint`.
    pub(super) async fn open(config: &'a Config, endpoint: &EndpointId) -> Result<Self, Failure> {
        let topics = KnownTopics::open(config).await?;
        let log = PartitionLog::new(&config.kafka.options()).map_err(told(config))?;
        Ok(Self {
            config,
            log,
            topics,
            topic: None,
            part: endpoint.part(),
        })
    }

    /// Reads the first of `wanted`, `most` at most, which are of one partition and in its order. At least one is looked for.
    ///
    /// Cancel safe.
    pub(super) async fn read(
        &mut self,
        wanted: &[MissedEvent],
        most: usize,
    ) -> Result<Read, Failure> {
        let nothing = |reason| Read {
            records: Vec::new(),
            looked_at: wanted.len(),
            reason,
        };
        let Some(first) = wanted.first() else {
            return Ok(nothing(Reason::Gone));
        };
        let KafkaPosition {
            topic, partition, ..
        } = &first.origin;
        let Some(partitions) = self.partitions(topic).await? else {
            return Ok(nothing(Reason::NoTopic));
        };
        if !partitions.have(*partition) {
            return Ok(nothing(Reason::Gone));
        }
        let places = wanted.iter().take(most.max(1));
        let collected = Collected {
            wanted: places
                .map(|event| (event.origin.offset, event.event_id.clone()))
                .collect(),
            place: 0,
            records: Vec::new(),
            bytes: 0,
            looked_at: 0,
            looked_at_bytes: 0,
            next: None,
            part: self.part.clone(),
        };
        let (from, at) = (
            Offset(first.origin.offset),
            TopicPartition::new(topic, *partition),
        );
        // A notifier has read them, so no transaction is to be waited for.
        let reading = self
            .log
            .read_settled(&at, from, collected, |into, record| into.take(&record));
        let (collected, _) = timeout(READ_LIMIT, reading)
            .await
            .map_err(|_| silent(topic))?
            .map_err(told(self.config))?;
        let looked_at = collected.next.map_or(wanted.len(), |next| {
            wanted.partition_point(|event| event.origin.offset < next)
        });
        Ok(Read {
            records: collected.records,
            looked_at,
            reason: Reason::Gone,
        })
    }

    /// `None` when there is no such topic.
    async fn partitions(&mut self, topic: &str) -> Result<Option<Partitions>, Failure> {
        if let Some((known, partitions)) = &self.topic
            && known == topic
        {
            return Ok(*partitions);
        }
        let found = self
            .topics
            .partitions(topic)
            .await
            .map_err(told(self.config))?;
        self.topic = Some((topic.to_owned(), found));
        Ok(found)
    }
}

impl Collected {
    /// Takes the next record of the partition, if it is wanted.
    fn take(&mut self, record: &ScannedRecord<'_>) -> ControlFlow<()> {
        let offset = record.offset();
        self.looked_at += 1;
        self.looked_at_bytes += [record.key(), record.value()]
            .map(|bytes| bytes.map_or(0, <[u8]>::len))
            .iter()
            .sum::<usize>();
        let is_behind = self.wanted[self.place..]
            .iter()
            .take_while(|(place, _)| *place < offset);
        self.place += is_behind.count();
        if self.place == self.wanted.len() {
            // Others may want this one.
            self.next = Some(offset);
            return ControlFlow::Break(());
        }
        while let Some((place, id)) = self.wanted.get(self.place)
            && *place == offset
        {
            let found = owned(record, &self.part);
            // A topic that was made anew has other records in these places.
            if event_id(&found).as_ref() == Some(id) {
                self.bytes += size(&found);
                self.records.push((self.place, found));
            }
            self.place += 1;
        }
        let enough = self.place == self.wanted.len()
            || self.bytes >= BATCH_BYTES
            || self.looked_at >= LOOKED_AT
            || self.looked_at_bytes >= LOOKED_AT_BYTES;
        if enough {
            self.next = Some(offset + 1);
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// A record for one part of it.
fn owned(record: &ScannedRecord<'_>, part: &PartId) -> Record {
    let mut headers = Headers::new();
    for header in record.headers() {
        headers.push(header.name, header.value.map(<[u8]>::to_vec));
    }
    Record {
        origin: KafkaPosition {
            topic: record.topic().to_owned(),
            partition: record.partition().0,
            offset: record.offset(),
        },
        part: Some(part.clone()),
        key: record.key().map(<[u8]>::to_vec),
        value: record.value().map(<[u8]>::to_vec),
        headers,
        timestamp_ms: record.timestamp().map(|timestamp| timestamp.0),
    }
}

/// Bytes, roughly.
fn size(record: &Record) -> u64 {
    let headers = record.headers.as_slice().iter();
    let headers =
        headers.map(|header| header.name.len() + header.value.as_ref().map_or(0, Vec::len));
    let own = [&record.key, &record.value].map(|bytes| bytes.as_ref().map_or(0, Vec::len));
    (headers.sum::<usize>() + own.iter().sum::<usize>()) as u64
}

fn silent(topic: &str) -> Failure {
    Failure::new(
        ErrorCode::KafkaUnreachable,
        format!("what was missed could not be read from {topic} within {READ_LIMIT:?}"),
        "look whether every partition has a leader, then run it again; it goes on with what is still missed",
    )
}

fn told(config: &Config) -> impl Fn(cdc_kafka::Error) -> Failure {
    |error| Failure::from_kafka(error, Context::new(config, "read what was missed"))
}
