//! Writes to a redirect partition.

use std::time::Duration;

use cdc_event::Sequence;
use cdc_kafka::{
    Delivery, Disposition, KafkaOptions, Limits, Offset, Partition, SendError, TopicPartition,
    TransactionError, TransactionTimeout, TransactionalId, TransactionalProducer,
};

use super::{headers, outgoing};
use crate::error::Error;
use crate::log::{AppendError, LogRecord, LogWriter};

/// For taking a transactional id over.
const OPEN: Duration = Duration::from_secs(30);

/// Kafka may be away for so long without a writer having to be made anew. Who takes a partition over does not wait for it.
const TRANSACTION_MS: u64 = 300_000;

/// Writes to a redirect partition, in transactions.
#[derive(Debug)]
pub struct KafkaWriter {
    topic: String,
    partition: Partition,
    producer: TransactionalProducer,
    sequence: u64,
}

impl KafkaWriter {
    /// Takes a transactional id over: who had it writes nothing any more.
    pub(super) async fn open(
        options: &KafkaOptions,
        to: TopicPartition,
        id: String,
    ) -> Result<Self, Error> {
        let TopicPartition { topic, partition } = to;
        let failed = Error::while_("take over a partition of", &topic);
        #[expect(
            clippy::expect_used,
            reason = "a topic's name is neither empty nor has a NUL"
        )]
        let id = TransactionalId::new(id).expect("the name of a topic");
        #[expect(
            clippy::expect_used,
            reason = "a constant between a second and 24 days"
        )]
        let timeout =
            TransactionTimeout::new(Duration::from_millis(TRANSACTION_MS)).expect("5 minutes");
        let opening = TransactionalProducer::open(options, Limits::default(), &id, timeout, OPEN);
        Ok(Self {
            producer: opening.await.map_err(failed)?,
            topic: topic.to_string(),
            partition,
            sequence: 0,
        })
    }

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
