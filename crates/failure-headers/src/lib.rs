//! What a failed record carries through retry topics and dead letters. Pure, no I/O.
//!
//! * [`retry`] makes the headers for a retry topic, [`put_off`] those of a record that only waits in one; [`read_retry`]
//!   takes them off again.
//! * [`dead_letter`] makes those of a dead letter: Spring Kafka's names and encodings, and a few of our own.
//! * [`read_dead_letter`] understands these, and those of Spring Kafka, Kafka Connect, Kafka Streams, share groups,
//!   SmallRye, Karafka, Dekaf and MassTransit as far as they go.
//!
//! A record's own headers are never changed: they stay in their order, byte for byte, and what is added comes after
//! them. What is added replaces what was added before, so a record is as large after fifty hops as after one. Whatever
//! is read may have been written by anybody: a value that makes no sense counts as missing.
//!
//! ```
//! use std::num::NonZeroU32;
//! use std::time::SystemTime;
//!
//! use cdc_event::{ErrorCode, HandlerError, Headers, KafkaPosition};
//! use failure_headers::{Failed, FailureReport, dead_letter, read_dead_letter};
//!
//! let error = HandlerError::new(ErrorCode::from_static("webhook-status"), "the endpoint answered 500");
//! let origin = KafkaPosition { topic: "orders".into(), partition: 2, offset: 17 };
//! let headers = dead_letter(&Headers::new(), &Failed {
//!     group: "billing",
//!     origin: &origin,
//!     original_timestamp_ms: Some(1_700_000_000_123),
//!     part: None,
//!     attempts: NonZeroU32::MIN,
//!     first_failed_at: SystemTime::now(),
//!     report: &FailureReport::from(&error),
//!     failed_event: None,
//! });
//! let read = read_dead_letter(&headers);
//! assert_eq!(read.origin, Some(origin));
//! assert_eq!(read.group.as_deref(), Some("billing"));
//! ```

mod dead_letter;
mod failed;
mod name;
mod read;
mod report;
mod retry_state;
mod stack;
mod text;
mod value;
mod write;

pub use dead_letter::{DeadLetter, Family, read_dead_letter};
pub use failed::Failed;
pub use report::FailureReport;
pub use retry_state::{RetryState, read_retry};
pub use write::{MAX_BYTES, MAX_RETRY_BYTES, dead_letter, put_off, retry};
