//! Kafka for the pipeline: ordered producer with delivery reports, topics. The only crate that names rdkafka.
//!
//! * [`OrderedProducer`] sends records in the caller's order and reports each delivery once.
//! * [`Topics`] looks at a cluster and creates what is missing.
//! * [`Inspection`] finds out what a cluster and its topics are set to.
//! * [`Error::disposition`] decides what a failure means; nothing else does.

mod client;
mod code;
mod error;
mod inspection;
mod logging;
mod options;
mod producer;
mod record;
mod topics;

pub use client::Reachability;
pub use code::KafkaCode;
pub use error::{Disposition, Error, PoisonReason};
pub use inspection::{ClusterDetails, Inspection, Settings, TopicDetails};
pub use options::KafkaOptions;
pub use producer::{Delivery, InFlight, Limits, OrderedProducer, SendError};
pub use record::{HeaderRef, OutgoingRecord, Partition, TimestampMillis};
pub use topics::{ClusterInfo, TopicInfo, TopicOutcome, TopicSettings, Topics};
