//! Single partitions, from anywhere to their ends.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio_util::sync::CancellationToken;

use super::reader::{Reader, Span, Wanted, client, refused};
use super::scan::ScannedRecord;
use crate::client::BrokerReports;
use crate::error::Error;
use crate::options::KafkaOptions;
use crate::record::{Offset, TopicPartition};

/// For one question where a partition ends.
const QUESTION: Duration = Duration::from_secs(5);

/// Reads partitions, as often as it is asked. Only committed records are seen, and only those that were there at the call.
pub struct PartitionLog {
    options: KafkaOptions,
    /// Sees what is not committed too: it says where a partition ends.
    asks: Arc<BaseConsumer<BrokerReports>>,
}

impl PartitionLog {
    /// A reader of any partition. Connects in the background.
    ///
    /// # Errors
    ///
    /// A property that is refused or not understood.
    pub fn new(options: &KafkaOptions) -> Result<Self, Error> {
        let mut config = options.reader_config()?;
        config.remove("group.id");
        config.set("isolation.level", "read_uncommitted");
        Ok(Self {
            options: options.clone(),
            asks: Arc::new(client(&config)?),
        })
    }

    /// The offset behind the last record, committed or not.
    ///
    /// Takes a few seconds at most. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Topic`] with what Kafka or librdkafka says.
    pub async fn end(&self, partition: &TopicPartition) -> Result<Offset, Error> {
        let (asks, partition) = (Arc::clone(&self.asks), partition.clone());
        let ask = move || {
            let TopicPartition { topic, partition } = &partition;
            let asked = asks.fetch_watermarks(topic, partition.0, QUESTION);
            asked
                .map(|(_, end)| Offset(end))
                .map_err(|error| refused(topic, &error))
        };
        tokio::task::spawn_blocking(ask)
            .await
            .map_err(|_| Error::Abandoned)?
    }

    /// Shows the committed records from `from` to where the partition ends at the call, in their order, until `visit` has
    /// enough; then gives back what it collected, and where the partition ended.
    ///
    /// Transactions that are open at the call are waited for, and so is the topic. Trouble with brokers is waited out. `visit` runs on a thread
    /// where blocking is allowed. Cancel safe: the reading then ends by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Topic`] when this client may not read it.
    pub async fn read<T: Send + 'static>(
        &self,
        partition: &TopicPartition,
        from: Offset,
        collected: T,
        visit: impl FnMut(&mut T, ScannedRecord<'_>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(T, Offset), Error> {
        let span = |reader: &Reader, partition: &TopicPartition| {
            reader.span_once_known(&partition.topic, partition.partition)
        };
        self.read_span(partition, from, span, collected, visit)
            .await
    }

    /// As [`read`](Self::read), up to the first transaction that is open at the call: none is waited for.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_settled<T: Send + 'static>(
        &self,
        partition: &TopicPartition,
        from: Offset,
        collected: T,
        visit: impl FnMut(&mut T, ScannedRecord<'_>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(T, Offset), Error> {
        let span = |reader: &Reader, partition: &TopicPartition| {
            reader.settled_span_once_known(&partition.topic, partition.partition)
        };
        self.read_span(partition, from, span, collected, visit)
            .await
    }

    async fn read_span<T: Send + 'static>(
        &self,
        partition: &TopicPartition,
        from: Offset,
        span: impl FnOnce(&Reader, &TopicPartition) -> Result<Span, Error> + Send + 'static,
        mut collected: T,
        mut visit: impl FnMut(&mut T, ScannedRecord<'_>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(T, Offset), Error> {
        let (options, partition) = (self.options.clone(), partition.clone());
        let cancel = CancellationToken::new();
        let _cancel_on_drop = cancel.clone().drop_guard();
        let read = move || {
            let reader = Reader::new(options, Wanted::UntilCancelled(cancel))?;
            let mut span = span(&reader, &partition)?;
            span.start = span.start.max(from.0);
            reader.read(&partition.topic, &[span], |message| {
                visit(&mut collected, ScannedRecord(message))
            })?;
            Ok((collected, Offset(span.end)))
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| Error::Abandoned)?
    }
}

impl std::fmt::Debug for PartitionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartitionLog").finish_non_exhaustive()
    }
}
