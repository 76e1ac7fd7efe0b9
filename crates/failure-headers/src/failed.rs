//! A record that failed.

use std::num::NonZeroU32;
use std::time::SystemTime;

use cdc_event::{KafkaPosition, PartId};

use crate::report::FailureReport;

/// What there is to say about a record that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed<'a> {
    /// The consumer group that failed at it, not the group that reads a retry topic for it.
    pub group: &'a str,
    /// Where the record was first read, before any retry topic.
    pub origin: &'a KafkaPosition,
    /// The time of the record there, in milliseconds since 1970.
    pub original_timestamp_ms: Option<i64>,
    /// Which part of it failed; `None` is all of it.
    pub part: Option<&'a PartId>,
    /// How often it was tried, over all retries and replays.
    pub attempts: NonZeroU32,
    /// When it failed first.
    pub first_failed_at: SystemTime,
    /// Why it failed last.
    pub report: &'a FailureReport,
    /// Its number in the store of failed events, when it came from there.
    pub failed_event: Option<i64>,
}
