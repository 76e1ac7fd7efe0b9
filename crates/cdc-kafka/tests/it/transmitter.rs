//! Sends in transactions, as the pipeline does.

use cdc_event::Sequence;
use cdc_kafka::{
    Delivery, KafkaOptions, Limits, OutgoingRecord, SendError, TransactionTimeout, TransactionalId,
    TransactionalProducer,
};

use crate::setup::{DEADLINE, brokers, soon, unique_name};

pub(crate) struct Transmitter {
    pub(crate) producer: TransactionalProducer,
    /// Deliveries that failed.
    pub(crate) failed: Vec<Delivery>,
    next: u64,
}

pub(crate) fn unique_id() -> TransactionalId {
    TransactionalId::new(unique_name("id")).unwrap()
}

impl Transmitter {
    /// On the real cluster.
    pub(crate) async fn open(id: &TransactionalId) -> Self {
        Self::open_with(&KafkaOptions::new(brokers()), Limits::default(), id).await
    }

    pub(crate) async fn open_with(
        options: &KafkaOptions,
        limits: Limits,
        id: &TransactionalId,
    ) -> Self {
        Self::open_for(options, limits, id, TransactionTimeout::DEFAULT).await
    }

    pub(crate) async fn open_for(
        options: &KafkaOptions,
        limits: Limits,
        id: &TransactionalId,
        timeout: TransactionTimeout,
    ) -> Self {
        let producer = TransactionalProducer::open(options, limits, id, timeout, DEADLINE).await;
        Self {
            producer: producer.unwrap(),
            failed: Vec::new(),
            next: 0,
        }
    }

    pub(crate) fn try_send(&mut self, record: OutgoingRecord<'_>) -> Result<(), SendError> {
        let sent = self.producer.try_send(record, Sequence::new(self.next));
        self.next += u64::from(sent.is_ok());
        sent
    }

    /// Sends a record, waiting for room as long as it takes.
    pub(crate) async fn send(&mut self, record: OutgoingRecord<'_>) -> Sequence {
        loop {
            match self.try_send(record) {
                Ok(()) => return Sequence::new(self.next - 1),
                Err(SendError::Full) => {
                    soon(self.producer.producer().delivered()).await;
                    self.take();
                }
                Err(SendError::Failed(error)) => panic!("not taken: {error:?}"),
            }
        }
    }

    /// Takes deliveries until nothing is in flight.
    pub(crate) async fn drain(&mut self) {
        soon(async {
            while self.producer.producer().in_flight().records > 0 {
                self.producer.producer().delivered().await;
                self.take();
            }
        })
        .await;
    }

    pub(crate) fn take(&mut self) {
        let mut taken = Vec::new();
        self.producer.producer().take_deliveries(&mut taken);
        taken.retain(|delivery| delivery.result.is_err());
        self.failed.append(&mut taken);
    }
}
