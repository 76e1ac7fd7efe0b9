//! Redirect topics in Kafka.

mod spread;
mod topic;
mod writer;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use cdc_event::{Headers, Sequence};
use cdc_kafka::{
    HeaderRef, KafkaOptions, Limits, Offset, OrderedProducer, OutgoingRecord, Partition,
    PartitionLog, ScannedRecord, SendError, TopicPartition, Topics,
};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

pub use self::writer::KafkaWriter;
use crate::error::Error;
use crate::layout::Layout;
use crate::log::{Log, LogRecord, SourcePartition};

/// For one question to the cluster.
const QUESTION: Duration = Duration::from_secs(10);

/// For one record that is not the owner's: somebody waits for it.
const SEND: Duration = Duration::from_secs(30);

/// How redirect topics are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Creation {
    /// The number of replicas; -1 leaves it to the brokers.
    pub replication_factor: i32,
}

/// The redirect topic of a group and a source topic.
#[must_use]
pub fn redirect_topic(group: &str, topic: &str) -> String {
    format!("{topic}.{group}.redirect")
}

/// Redirect topics in Kafka: `{topic}.{group}.redirect`, compacted, made with as many partitions as the source. Partitions
/// that either gets later change nothing about where records wait: what was chosen at the first use stands in the topic.
pub struct KafkaLog {
    options: KafkaOptions,
    creation: Option<Creation>,
    topics: Topics,
    known: Mutex<HashMap<String, Arc<Layouts>>>,
    reader: OnceLock<PartitionLog>,
    /// For what is not written by an owner; made when it is needed.
    sender: AsyncMutex<Option<OrderedProducer>>,
}

/// Where the records of a redirect topic are.
#[derive(Default)]
struct Layouts {
    /// It is written down: nobody will come to another result.
    settled: OnceCell<Layout>,
    /// It was found written down by somebody who only looks.
    seen: OnceCell<Layout>,
}

impl KafkaLog {
    /// Redirect topics of this cluster, which are made if they are missing and `creation` is given. Connects to nothing
    /// yet.
    #[must_use]
    pub fn new(options: KafkaOptions, creation: Option<Creation>) -> Self {
        let options = for_any_size(options);
        Self {
            topics: Topics::new(options.clone(), QUESTION),
            options,
            creation,
            known: Mutex::default(),
            reader: OnceLock::new(),
            sender: AsyncMutex::default(),
        }
    }

    /// The redirect partition of a source partition, for its owner. The topic is there when this returns.
    async fn own_place(&self, of: &SourcePartition) -> Result<TopicPartition, Error> {
        let topic = redirect_topic(&of.group, &of.topic);
        let settle = || self.settle(&topic, of);
        let known = self.known(&topic);
        let layout = known.settled.get_or_try_init(settle).await?;
        Ok(layout.place(&topic, of.partition))
    }

    /// The same for anybody.
    async fn place(&self, of: &SourcePartition) -> Result<TopicPartition, Error> {
        let topic = redirect_topic(&of.group, &of.topic);
        let known = self.known(&topic);
        let layout = match known.settled.get() {
            Some(settled) => *settled,
            None => match known.seen.get() {
                Some(seen) => *seen,
                None => self.see(&topic, of, &known.seen).await?,
            },
        };
        Ok(layout.place(&topic, of.partition))
    }

    fn known(&self, topic: &str) -> Arc<Layouts> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(topic.to_owned()).or_default())
    }

    /// See [`Log::read`].
    async fn read_place<T: Send + 'static>(
        &self,
        place: &TopicPartition,
        from: Offset,
        collected: T,
        mut visit: impl FnMut(&mut T, Offset, LogRecord) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(T, Offset), Error> {
        let shown = move |collected: &mut T, record: ScannedRecord<'_>| {
            visit(collected, Offset(record.offset()), log_record(&record))
        };
        let reader = self.reader(&place.topic)?;
        reader
            .read(place, from, collected, shown)
            .await
            .map_err(Error::while_("read", &place.topic))
    }

    async fn end_of(&self, place: &TopicPartition) -> Result<Offset, Error> {
        let end = self.reader(&place.topic)?.end(place).await;
        end.map_err(Error::while_("find the end of", &place.topic))
    }

    fn reader(&self, topic: &str) -> Result<&PartitionLog, Error> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader);
        }
        // Of two that are made at the same time one is enough.
        let made = PartitionLog::new(&self.options).map_err(Error::while_("read", topic))?;
        Ok(self.reader.get_or_init(|| made))
    }
}

impl Log for KafkaLog {
    type Writer = KafkaWriter;

    async fn open(&self, of: &SourcePartition) -> Result<KafkaWriter, Error> {
        let place = self.own_place(of).await?;
        let id = format!("{}-{}", place.topic, of.partition);
        KafkaWriter::open(&self.options, place, id).await
    }

    async fn read<T: Send + 'static>(
        &self,
        of: &SourcePartition,
        from: Offset,
        collected: T,
        visit: impl FnMut(&mut T, Offset, LogRecord) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(T, Offset), Error> {
        let place = self.place(of).await?;
        self.read_place(&place, from, collected, visit).await
    }

    async fn end(&self, of: &SourcePartition) -> Result<Offset, Error> {
        self.end_of(&self.place(of).await?).await
    }

    async fn send(&self, of: &SourcePartition, record: LogRecord) -> Result<(), Error> {
        let TopicPartition { topic, partition } = self.place(of).await?;
        let mut sender = self.sender.lock().await;
        // Taken out: what a dropped call leaves behind is not taken for the next one's.
        let producer = match sender.take() {
            Some(producer) => producer,
            None => OrderedProducer::new(&self.options, Limits::default())
                .map_err(Error::while_("write to", &topic))?,
        };
        let delivering = deliver(&producer, &topic, partition, &record);
        let Ok(delivered) = tokio::time::timeout(SEND, delivering).await else {
            let (topic, limit) = (topic.to_string(), SEND);
            return Err(Error::NotTaken { topic, limit });
        };
        delivered.map_err(Error::while_("write to", &topic))?;
        *sender = Some(producer);
        Ok(())
    }
}

/// Sends one record, and waits until it is there.
async fn deliver(
    producer: &OrderedProducer,
    topic: &str,
    partition: Partition,
    record: &LogRecord,
) -> Result<(), cdc_kafka::Error> {
    let headers = headers(record);
    let outgoing = outgoing(topic, partition, record, &headers);
    match producer.try_send(outgoing, Sequence::new(0)) {
        Ok(()) => {}
        Err(SendError::Failed(error)) => return Err(error),
        // Nothing else is in flight, and an idle producer takes anything.
        Err(SendError::Full) => return Err(cdc_kafka::Error::Abandoned),
    }
    let mut deliveries = Vec::new();
    loop {
        producer.delivered().await;
        producer.take_deliveries(&mut deliveries);
        if let Some(delivery) = deliveries.pop() {
            return delivery.result;
        }
        if let Some(fatal) = producer.fatal() {
            return Err(fatal);
        }
    }
}

/// A record as it was read.
fn log_record(record: &ScannedRecord<'_>) -> LogRecord {
    let mut headers = Headers::new();
    for header in record.headers() {
        headers.push(header.name, header.value.map(<[u8]>::to_vec));
    }
    LogRecord {
        key: record.key().unwrap_or_default().to_vec(),
        value: record.value().map(<[u8]>::to_vec),
        headers,
    }
}

fn headers(record: &LogRecord) -> Vec<HeaderRef<'_>> {
    let headers = record.headers.as_slice().iter();
    headers
        .map(|header| HeaderRef {
            name: &header.name,
            value: header.value.as_deref(),
        })
        .collect()
}

fn outgoing<'a>(
    topic: &'a str,
    partition: Partition,
    record: &'a LogRecord,
    headers: &'a [HeaderRef<'a>],
) -> OutgoingRecord<'a> {
    OutgoingRecord {
        topic,
        partition: Some(partition),
        key: Some(&record.key),
        value: record.value.as_deref(),
        headers,
        timestamp: None,
    }
}

/// What has grown by a header is refused by the topic, not by its sender.
fn for_any_size(mut options: KafkaOptions) -> KafkaOptions {
    const LIMIT: &str = "message.max.bytes";
    const LARGEST_RECORD: &str = "134217728";
    if !options.client.contains_key(LIMIT) {
        let own = options.producer.entry(LIMIT.into());
        own.or_insert_with(|| LARGEST_RECORD.into());
    }
    options
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog")
            .field("creation", &self.creation)
            .finish_non_exhaustive()
    }
}
