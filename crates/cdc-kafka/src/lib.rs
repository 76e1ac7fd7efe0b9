//! Kafka for the pipeline: ordered and transactional producer, group consumer, reading, topics. The only crate that names rdkafka.
//!
//! * [`OrderedProducer`] sends records in the caller's order and reports each delivery once.
//! * [`TransactionalProducer`] does so in transactions, and fences older producers of its id.
//! * [`GroupConsumer`] is a member of a consumer group whose partitions are read each at its own pace.
//! * [`PartitionLog`] reads single partitions, from anywhere to their ends.
//! * [`latest`] finds the newest value of a key in a compacted topic; [`scan`] shows every record of topics.
//! * [`Topics`] looks at a cluster and creates what is missing.
//! * [`Inspection`] finds out what a cluster and its topics are set to.
//! * [`Error::disposition`] decides what a failure means; nothing else does.

mod brokers;
mod client;
mod code;
mod consumer;
mod error;
mod inspection;
mod logging;
mod options;
mod producer;
mod reading;
mod record;
mod topics;
mod transactional;

pub use client::Reachability;
pub use code::KafkaCode;
pub use consumer::{
    Assignment, ConsumerEvent, ConsumerSettings, FetchedRecord, GroupConsumer, GroupMetadata,
    OffsetStore, PartitionLag, PartitionReader, Revocation, Start, group_lag,
};
pub use error::{Disposition, Error, PoisonReason};
pub use inspection::{ClusterDetails, Inspection, Settings, TopicDetails};
pub use options::KafkaOptions;
pub use producer::{Delivery, InFlight, Limits, OrderedProducer, SendError};
pub use reading::{Latest, PartitionLog, ScanSummary, ScannedRecord, latest, scan};
pub use record::{
    HeaderRef, Offset, OutgoingRecord, OwnedHeader, OwnedRecord, Partition, Place, TimestampMillis,
    TopicPartition,
};
pub use topics::{ClusterInfo, TopicConfig, TopicInfo, TopicOutcome, TopicSettings, Topics};
pub use transactional::{
    InvalidTransactionTimeout, InvalidTransactionalId, TransactionError, TransactionTimeout,
    TransactionalId, TransactionalProducer,
};
