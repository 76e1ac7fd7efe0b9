//! Redirect topics in Kafka.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use cdc_event::{Headers, Sequence};
use cdc_kafka::{
    Delivery, Disposition, HeaderRef, KafkaOptions, Limits, Offset, OrderedProducer,
    OutgoingRecord, Partition, PartitionLog, SendError, TopicConfig, TopicInfo, TopicPartition,
    TopicSettings, Topics, TransactionError, TransactionTimeout, TransactionalId,
    TransactionalProducer,
};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use crate::error::Error;
use crate::log::{AppendError, Log, LogRecord, LogWriter, SourcePartition};

/// For one question to the cluster.
const QUESTION: Duration = Duration::from_secs(10);

/// For one record that is not the owner's: somebody waits for it.
const SEND: Duration = Duration::from_secs(30);

/// For taking a transactional id over.
const OPEN: Duration = Duration::from_secs(30);

/// Kafka may be away for so long without a writer having to be made anew. Who takes a partition over does not wait for it.
const TRANSACTION_MS: u64 = 300_000;

/// What a record may grow by.
const HEADROOM: u64 = 64 * 1024;

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

/// Redirect topics in Kafka: `{topic}.{group}.redirect`, compacted, with as many partitions as the source.
pub struct KafkaLog {
    options: KafkaOptions,
    creation: Option<Creation>,
    topics: Topics,
    /// How many partitions each has.
    known: Mutex<HashMap<String, Arc<OnceCell<i32>>>>,
    reader: OnceLock<PartitionLog>,
    /// For what is not written by an owner; made when it is needed.
    sender: AsyncMutex<Option<OrderedProducer>>,
}

/// Writes to a redirect partition, in transactions.
#[derive(Debug)]
pub struct KafkaWriter {
    topic: String,
    partition: Partition,
    producer: TransactionalProducer,
    sequence: u64,
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

    /// The redirect partition of a source partition, whose topic is there when this returns.
    async fn place(&self, of: &SourcePartition) -> Result<TopicPartition, Error> {
        let topic = redirect_topic(&of.group, &of.topic);
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(topic.clone()).or_default())
        };
        let prepare = || self.prepare(&topic, of);
        let partitions = *cell.get_or_try_init(prepare).await?;
        // The source may have got more since: they share, and know their own by the key.
        Ok(TopicPartition::new(
            &topic,
            of.partition % partitions.max(1),
        ))
    }

    async fn prepare(&self, topic: &str, of: &SourcePartition) -> Result<i32, Error> {
        const POLICY: &str = "cleanup.policy";
        let failed = Error::while_("find or make", topic);
        if let Some(partitions) = self.partitions(topic).await? {
            // Who may not see it has to take it on trust.
            let config = self.topics.config(topic, &[POLICY]).await.ok().flatten();
            let policy = config.and_then(|mut config| config.remove(POLICY));
            return match policy {
                Some(policy) if policy != "compact" => Err(Error::NotCompacted {
                    topic: topic.to_owned(),
                    policy,
                }),
                Some(_) | None => Ok(partitions),
            };
        }
        let Some(creation) = self.creation else {
            return Err(Error::Missing {
                topic: topic.to_owned(),
            });
        };
        let settings = TopicSettings {
            partitions: of.partition_count,
            replication_factor: creation.replication_factor,
        };
        let mut config = TopicConfig::compacted();
        if let Some(limit) = self.size_limit(&of.topic).await {
            config = config.with("max.message.bytes", (limit + HEADROOM).to_string());
        }
        let names = [topic.to_owned()];
        self.topics
            .ensure_with(&names, settings, config)
            .await
            .map_err(failed)?;
        tracing::info!(
            topic,
            partitions = of.partition_count,
            "created a redirect topic"
        );
        // Another may have created it with other partitions; a broker may not know it yet.
        Ok(self.partitions(topic).await?.unwrap_or(of.partition_count))
    }

    async fn partitions(&self, topic: &str) -> Result<Option<i32>, Error> {
        let found = self
            .topics
            .describe(&[topic.to_owned()])
            .await
            .map_err(Error::while_("find", topic))?;
        Ok(found.into_iter().find_map(|info| match info {
            TopicInfo::Present { partitions, .. } => i32::try_from(partitions).ok(),
            TopicInfo::Missing { .. } => None,
        }))
    }

    /// The largest batch that the source takes; `None` when it cannot be found out: then it is the brokers' default.
    async fn size_limit(&self, source: &str) -> Option<u64> {
        const LIMIT: &str = "max.message.bytes";
        let config = self.topics.config(source, &[LIMIT]).await.ok()??;
        let limit = config.get(LIMIT)?.parse().ok();
        limit.filter(|limit| *limit < u64::from(u32::MAX >> 1) - HEADROOM)
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
        let TopicPartition { topic, partition } = self.place(of).await?;
        let failed = Error::while_("take over a partition of", &topic);
        let name = format!("{topic}-{}", of.partition);
        #[expect(
            clippy::expect_used,
            reason = "a topic's name is neither empty nor has a NUL"
        )]
        let id = TransactionalId::new(name).expect("the name of a topic");
        #[expect(
            clippy::expect_used,
            reason = "a constant between a second and 24 days"
        )]
        let timeout =
            TransactionTimeout::new(Duration::from_millis(TRANSACTION_MS)).expect("5 minutes");
        let opening =
            TransactionalProducer::open(&self.options, Limits::default(), &id, timeout, OPEN);
        Ok(KafkaWriter {
            producer: opening.await.map_err(failed)?,
            topic: topic.to_string(),
            partition,
            sequence: 0,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        of: &SourcePartition,
        from: Offset,
        collected: T,
        mut visit: impl FnMut(&mut T, Offset, LogRecord) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(T, Offset), Error> {
        let place = self.place(of).await?;
        let reader = self.reader(&place.topic)?;
        let shown = move |collected: &mut T, record: cdc_kafka::ScannedRecord<'_>| {
            let mut headers = Headers::new();
            for header in record.headers() {
                headers.push(header.name, header.value.map(<[u8]>::to_vec));
            }
            let found = LogRecord {
                key: record.key().unwrap_or_default().to_vec(),
                value: record.value().map(<[u8]>::to_vec),
                headers,
            };
            visit(collected, Offset(record.offset()), found)
        };
        reader
            .read(&place, from, collected, shown)
            .await
            .map_err(Error::while_("read", &place.topic))
    }

    async fn end(&self, of: &SourcePartition) -> Result<Offset, Error> {
        let place = self.place(of).await?;
        let end = self.reader(&place.topic)?.end(&place).await;
        end.map_err(Error::while_("find the end of", &place.topic))
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

impl KafkaWriter {
    fn failed(&self) -> impl Fn(cdc_kafka::Error) -> Error + use<> {
        Error::while_("write to", &self.topic)
    }

    async fn send_all(
        &self,
        records: &[LogRecord],
        deliveries: &mut Vec<Delivery>,
    ) -> Result<(), cdc_kafka::Error> {
        let producer = self.producer.producer();
        for (number, record) in records.iter().enumerate() {
            let headers = headers(record);
            let sequence = Sequence::new(self.sequence + number as u64);
            loop {
                let outgoing = outgoing(&self.topic, self.partition, record, &headers);
                match self.producer.try_send(outgoing, sequence) {
                    Ok(()) => break,
                    Err(SendError::Failed(error)) => return Err(error),
                    Err(SendError::Full) => {}
                }
                // What is delivered counts as in flight until it is taken.
                producer.delivered().await;
                producer.take_deliveries(deliveries);
                if let Some(fatal) = producer.fatal() {
                    return Err(fatal);
                }
            }
        }
        Ok(())
    }

    /// Ends the transaction without it; `why` is what it failed for.
    async fn undo(&mut self, why: cdc_kafka::Error, mut deliveries: Vec<Delivery>) -> AppendError {
        let aborted = self.producer.abort().await;
        self.producer.producer().take_deliveries(&mut deliveries);
        // The record that was refused says more than the transaction that failed with it.
        let reasons = deliveries
            .into_iter()
            .filter_map(|delivery| delivery.result.err());
        let refused = reasons
            .into_iter()
            .find(|error| matches!(error.disposition(), Disposition::Poison(_)));
        let error = self.failed()(refused.unwrap_or(why));
        match aborted {
            Ok(()) => AppendError::NotWritten(error),
            Err(_) => AppendError::Unknown(error),
        }
    }
}

impl LogWriter for KafkaWriter {
    async fn append(&mut self, records: &[LogRecord]) -> Result<Vec<Offset>, AppendError> {
        let unknown = |failed: Error| AppendError::Unknown(failed);
        if let Err(error) = self.producer.begin() {
            return Err(unknown(self.failed()(error)));
        }
        let mut deliveries = Vec::with_capacity(records.len());
        if let Err(error) = self.send_all(records, &mut deliveries).await {
            return Err(self.undo(error, deliveries).await);
        }
        match self.producer.commit().await {
            Ok(()) => {}
            Err(TransactionError::Abortable(error)) => {
                return Err(self.undo(error, deliveries).await);
            }
            Err(failed @ (TransactionError::Fenced(_) | TransactionError::Fatal(_))) => {
                return Err(unknown(self.failed()(failed.into_error())));
            }
        }
        self.producer.producer().take_deliveries(&mut deliveries);
        let first = self.sequence;
        self.sequence += records.len() as u64;
        let mut places = vec![None; records.len()];
        for delivery in deliveries {
            let number = delivery.sequence.get().checked_sub(first);
            let number = number.and_then(|number| usize::try_from(number).ok());
            if let (Some(number), Some(place)) = (number, delivery.place)
                && let Some(slot) = places.get_mut(number)
            {
                *slot = Some(place.offset);
            }
        }
        // Each has been reported before the commit; else it is read again from the topic.
        let places: Option<Vec<Offset>> = places.into_iter().collect();
        places.ok_or_else(|| unknown(self.failed()(cdc_kafka::Error::Abandoned)))
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
