//! Kafka is killed or frozen in the middle of transactions, and the sender follows the rules.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::Sequence;
use cdc_kafka::{
    Latest, Limits, OutgoingRecord, SendError, TopicConfig, TopicSettings, Topics,
    TransactionError, TransactionTimeout, TransactionalId, TransactionalProducer, latest,
};

use crate::own_kafka::{LONG_SESSION, OwnKafka, SHORT_SESSION};
use crate::reading::read_all;
use crate::setup::{DEADLINE, record, soon};
use crate::transmitter::{Transmitter, unique_id};

const TOPIC: &str = "events";
const CHECKPOINTS: &str = "checkpoints";
const PARTITIONS: i32 = 6;
const KEYS: u32 = 50;

async fn create_topics(kafka: &OwnKafka) {
    let topics = Topics::new(kafka.options.clone(), DEADLINE);
    let settings = |partitions| TopicSettings {
        partitions,
        replication_factor: 1,
    };
    topics
        .ensure(&[TOPIC.into()], settings(PARTITIONS))
        .await
        .unwrap();
    topics
        .ensure_with(&[CHECKPOINTS.into()], settings(1), TopicConfig::compacted())
        .await
        .unwrap();
}

/// Sends the numbers from 0 on, each once, whatever happens, as the documentation of the producer says.
struct Dutiful {
    kafka: Arc<OwnKafka>,
    id: TransactionalId,
    producer: TransactionalProducer,
    /// Numbers below it are committed.
    checkpoint: u32,
    reopened: u32,
    aborted: u32,
}

impl Dutiful {
    async fn start(kafka: &Arc<OwnKafka>) -> Self {
        let id = unique_id();
        let (producer, checkpoint) = Self::open(kafka, &id).await;
        Self {
            kafka: Arc::clone(kafka),
            id,
            producer,
            checkpoint,
            reopened: 0,
            aborted: 0,
        }
    }

    async fn open(kafka: &OwnKafka, id: &TransactionalId) -> (TransactionalProducer, u32) {
        let timeout = TransactionTimeout::new(Duration::from_secs(3)).unwrap();
        let limits = Limits::default();
        let open = TransactionalProducer::open(&kafka.options, limits, id, timeout, DEADLINE);
        let producer = open.await.unwrap();
        let key = id.as_str().as_bytes();
        let checkpoint = latest(&kafka.options, CHECKPOINTS, key, |_| false, DEADLINE).await;
        let checkpoint = match checkpoint.unwrap() {
            Latest::Value(value) => u32::from_be_bytes(value.try_into().unwrap()),
            Latest::Absent => 0,
            Latest::MissingTopic | Latest::Other { .. } => panic!("it was created"),
        };
        (producer, checkpoint)
    }

    /// Sends one transaction, and does what must be done if that fails. `meanwhile` runs when half of it is sent.
    async fn advance(&mut self, records: u32, meanwhile: impl FnOnce()) {
        match self.transaction(records, meanwhile).await {
            Ok(()) => self.checkpoint += records,
            Err(TransactionError::Abortable(_)) => {
                self.aborted += 1;
                if self.producer.abort().await.is_err() {
                    self.reopen().await;
                }
            }
            Err(TransactionError::Fenced(_) | TransactionError::Fatal(_)) => self.reopen().await,
        }
    }

    async fn reopen(&mut self) {
        self.reopened += 1;
        (self.producer, self.checkpoint) = Self::open(&self.kafka, &self.id).await;
    }

    async fn transaction(
        &mut self,
        records: u32,
        meanwhile: impl FnOnce(),
    ) -> Result<(), TransactionError> {
        self.producer.begin().map_err(TransactionError::Fatal)?;
        let numbers = self.checkpoint..self.checkpoint + records;
        let mut meanwhile = Some(meanwhile);
        for number in numbers.clone() {
            let (key, value) = ((number % KEYS).to_be_bytes(), number.to_be_bytes());
            self.send(record(TOPIC, &key, &value)).await;
            if number == self.checkpoint + records / 2 {
                meanwhile
                    .take()
                    .into_iter()
                    .for_each(|meanwhile| meanwhile());
            }
        }
        let key = self.id.as_str().to_owned();
        let value = numbers.end.to_be_bytes();
        self.send(record(CHECKPOINTS, key.as_bytes(), &value)).await;
        self.producer.commit().await
    }

    async fn send(&mut self, record: OutgoingRecord<'_>) {
        loop {
            match self.producer.try_send(record, Sequence::new(0)) {
                Err(SendError::Full) => self.producer.producer().delivered().await,
                // A failed transaction takes no more records; its commit says why.
                Ok(()) | Err(SendError::Failed(_)) => return,
            }
            self.producer.producer().take_deliveries(&mut Vec::new());
        }
    }

    /// Everything is there once, and in order.
    async fn check(&self) {
        let received = read_all(&self.kafka.options.brokers, TOPIC, PARTITIONS).await;
        let mut next: HashMap<u32, u32> = HashMap::new();
        for received in &received {
            let value = received.value.as_deref().unwrap();
            let number = u32::from_be_bytes(value.try_into().unwrap());
            let key = number % KEYS;
            let next = next.entry(key).or_insert(key);
            assert_eq!(
                number, *next,
                "lost, repeated, or out of order; aborted {}, reopened {}",
                self.aborted, self.reopened
            );
            *next += KEYS;
        }
        assert_eq!(received.len(), self.checkpoint as usize);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_repeated_when_kafka_is_killed_in_mid_transaction() {
    let kafka = Arc::new(OwnKafka::start(SHORT_SESSION).await);
    create_topics(&kafka).await;
    let mut sender = Dutiful::start(&kafka).await;
    for round in 0..20 {
        let mut crash = None;
        let meanwhile = || {
            if round % 10 == 5 {
                let kafka = Arc::clone(&kafka);
                crash = Some(tokio::task::spawn_blocking(move || kafka.crash()));
            }
        };
        soon(sender.advance(1_000, meanwhile)).await;
        if let Some(crash) = crash {
            crash.await.unwrap();
        }
    }
    assert!(sender.checkpoint >= 18_000, "each crash costs one at most");
    sender.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_repeated_when_kafka_is_frozen_for_longer_than_a_transaction_may_take() {
    let kafka = Arc::new(OwnKafka::start(LONG_SESSION).await);
    create_topics(&kafka).await;
    let mut sender = Dutiful::start(&kafka).await;
    for round in 0..15 {
        let freeze = || {
            if round % 5 == 2 {
                kafka.freeze();
            }
        };
        // The transaction's timeout is 3 s.
        let thaw = async {
            if round % 5 == 2 {
                tokio::time::sleep(Duration::from_secs(if round == 2 { 1 } else { 5 })).await;
                kafka.thaw();
            }
        };
        tokio::join!(soon(sender.advance(1_000, freeze)), thaw);
    }
    assert!(sender.checkpoint >= 12_000, "each freeze costs one at most");
    sender.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_open_for_too_long_is_ended_and_its_producer_learns_of_it() {
    let kafka = OwnKafka::start(LONG_SESSION).await;
    create_topics(&kafka).await;
    let timeout = TransactionTimeout::new(Duration::from_secs(1)).unwrap();
    let limits = Limits::default();
    let mut idle = Transmitter::open_for(&kafka.options, limits, &unique_id(), timeout).await;
    idle.producer.begin().unwrap();
    idle.send(record(TOPIC, b"k", b"lost")).await;
    idle.drain().await;
    // A record behind the open transaction is seen once that is ended.
    let mut other = Transmitter::open_with(&kafka.options, limits, &unique_id()).await;
    other.producer.begin().unwrap();
    other.send(record(TOPIC, b"k", b"kept")).await;
    soon(other.producer.commit()).await.unwrap();
    soon(async {
        while read_all(&kafka.options.brokers, TOPIC, PARTITIONS)
            .await
            .is_empty()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let ended = soon(idle.producer.commit()).await.unwrap_err();
    assert!(matches!(ended, TransactionError::Fenced(_)), "{ended:?}");
}
