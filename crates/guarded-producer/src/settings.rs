//! How the producer behaves.

use std::time::Duration;

use cdc_kafka::KafkaOptions;
use cdc_outbox::OutboxSettings;
use pg_replication::{ConnectOptions, SlotName};

/// How the producer behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How to reach Kafka. The producer is always idempotent with `acks=all`.
    pub kafka: KafkaOptions,
    /// The database with `cdc.outbox`, whose server has the relay's slots. A connection pooler is fine.
    pub postgres: ConnectOptions,
    /// The slots of the relay, one for each shard; at least one.
    pub slots: Vec<SlotName>,
    /// What the relay's section `[outbox]` says: it decides topic, key, value and headers on both ways.
    pub outbox: OutboxSettings,
    /// How long an event may wait for room in the buffer. Default: 500 ms.
    ///
    /// It is also how long no broker may be reachable before events go to the outbox.
    pub block_time: Duration,
    /// How long Kafka may take to acknowledge a record. Default: 5 s.
    pub delivery_timeout: Duration,
    /// How long the outbox may take to store an event. Default: 2 s.
    pub store_timeout: Duration,
    /// Bytes of records that were accepted and not answered for; one of any size is taken. Default: 16 MiB.
    pub buffer: usize,
}

impl Settings {
    /// The defaults, for a relay with one slot.
    #[must_use]
    pub fn new(kafka: KafkaOptions, postgres: ConnectOptions, slot: SlotName) -> Self {
        Self {
            kafka,
            postgres,
            slots: vec![slot],
            outbox: OutboxSettings::default(),
            block_time: Duration::from_millis(500),
            delivery_timeout: Duration::from_secs(5),
            store_timeout: Duration::from_secs(2),
            buffer: 16 * 1024 * 1024,
        }
    }
}
