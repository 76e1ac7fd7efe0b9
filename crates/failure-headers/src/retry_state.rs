//! What a record of a retry topic knows of itself.

use std::num::NonZeroU32;
use std::time::SystemTime;

use cdc_event::{ErrorCode, Headers, KafkaPosition, PartId};

use crate::name;
use crate::read::Read;
use crate::report::FailureReport;
use crate::write::without;

/// What a record of a retry topic knows of itself. Everything in it is somebody's word: attempts are also to be
/// counted where a lost header cannot reset them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryState {
    /// Where it was first read; where it was read now, if that is not known.
    pub origin: KafkaPosition,
    /// The consumer group that failed at it; `None` when it does not say.
    pub group: Option<String>,
    /// The time of the record at its origin, in milliseconds since 1970.
    pub original_timestamp_ms: Option<i64>,
    /// Which part of it is meant; `None` is all of it.
    pub part: Option<PartId>,
    /// How often it was tried: 1 to 32767, 1 if that is not known.
    pub attempts: NonZeroU32,
    /// When it failed first, not after `now`; `now` if that is not known.
    pub first_failed_at: SystemTime,
    /// Why it failed last, as far as a retry topic has it.
    pub report: Option<FailureReport>,
    /// Not to be tried before, at most a day ahead.
    pub not_before: Option<SystemTime>,
    /// It has not failed and only waits here: how many delays between attempts it has waited through. `attempts` then
    /// counts the one that is still to come.
    pub waited: Option<u16>,
    /// Its number in the store of failed events, when it was replayed from there.
    pub failed_event: Option<i64>,
}

/// Takes a record's headers apart: its own, in order, and what a retry has added.
///
/// `at` is where it was read, `now` is the time to judge others by. `None` when nothing was added: somebody else wrote
/// it.
#[must_use]
pub fn read_retry(
    headers: &Headers,
    at: &KafkaPosition,
    now: SystemTime,
) -> (Headers, Option<RetryState>) {
    let own = without(headers, name::is_of_retry);
    if own.as_slice().len() == headers.as_slice().len() {
        return (own, None);
    }
    let read = Read(headers);
    let origin = read.position(
        name::ORIGIN_TOPIC,
        name::ORIGIN_PARTITION,
        name::ORIGIN_OFFSET,
    );
    let first_failed_at = read.plausible_time(name::FIRST_FAILURE, now);
    let state = RetryState {
        origin: origin.unwrap_or_else(|| at.clone()),
        group: read.name(name::GROUP),
        original_timestamp_ms: read.timestamp(name::ORIGIN_TIMESTAMP),
        part: read.part(name::PART),
        attempts: read.attempts(name::ATTEMPTS).unwrap_or(NonZeroU32::MIN),
        first_failed_at: first_failed_at.map_or(now, |time| time.min(now)),
        report: read.text(name::ERROR_CODE).map(|code| FailureReport {
            code: ErrorCode::new(code),
            message: read.text(name::ERROR_MESSAGE).unwrap_or_default(),
            chain: Vec::new(),
            backtrace: None,
        }),
        not_before: read.plausible_time(name::NOT_BEFORE, now),
        waited: read.delays(name::WAITED),
        failed_event: read.number(name::FAILED_EVENT),
    };
    (own, Some(state))
}
