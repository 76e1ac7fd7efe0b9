//! Headers as they are added.

use cdc_event::Headers;

use crate::failed::Failed;
use crate::name::{self, MAX_BYTES as NAME_BYTES, is_of_dead_letter, is_of_retry, spring};
use crate::stack;
use crate::text::{bounded, shortened};
use crate::value::{of_attempts, of_time};

/// Bytes of the names and values that [`dead_letter`] adds, at most.
pub const MAX_BYTES: usize = 16 * 1024;

/// Bytes of the names and values that [`retry`] adds, at most.
pub const MAX_RETRY_BYTES: usize = 4 * 1024;

/// Bytes of a message in a retry topic.
const RETRY_MESSAGE_BYTES: usize = 1024;

/// Bytes that are left to a message, however long the causes are.
const LEAST_MESSAGE_BYTES: usize = 1024;

/// Headers that are being added to those of a record.
struct Added {
    headers: Headers,
    bytes: usize,
}

/// The headers of a dead letter: the record's own, in order, then ours, at most [`MAX_BYTES`] of them.
///
/// What is too long is cut between characters: the backtrace first, then the message, then the causes. A header in
/// `own` that has one of our names is replaced.
#[must_use]
pub fn dead_letter(own: &Headers, failed: &Failed<'_>) -> Headers {
    let mut added = Added::to(own, is_of_dead_letter);
    let Failed { origin, report, .. } = failed;
    added.text(spring::TOPIC, &origin.topic);
    added.push(spring::PARTITION, origin.partition.to_be_bytes());
    added.push(spring::OFFSET, origin.offset.to_be_bytes());
    let (timestamp, kind) = match failed.original_timestamp_ms {
        Some(timestamp) => (timestamp, "CreateTime"),
        None => (-1, "NoTimestampType"),
    };
    added.push(spring::TIMESTAMP, timestamp.to_be_bytes());
    added.text(spring::TIMESTAMP_TYPE, kind);
    added.text(spring::GROUP, failed.group);
    let code = bounded(report.code.as_str(), NAME_BYTES);
    added.text(spring::CLASS, code);
    added.common(failed);
    let room = MAX_BYTES - added.bytes - spring::MESSAGE.len() - spring::STACK.len();
    let causes = stack::causes_length(report, code);
    let message = room.saturating_sub(causes).max(LEAST_MESSAGE_BYTES);
    let message = shortened(&report.message, message);
    let stack = stack::rendered(report, code, room - message.len());
    added.push(spring::MESSAGE, message.into_bytes());
    added.push(spring::STACK, stack.into_bytes());
    added.headers
}

/// The headers for a retry topic: the record's own, in order, then ours, at most [`MAX_RETRY_BYTES`] of them.
///
/// `not_before` is when it may be tried again, if that is later than the topic's delay says. A header in `own` that
/// has one of our names is replaced. For a replay, `failed.failed_event` is the number in the store.
#[must_use]
pub fn retry(
    own: &Headers,
    failed: &Failed<'_>,
    not_before: Option<std::time::SystemTime>,
) -> Headers {
    let mut added = Added::to(own, is_of_retry);
    let origin = failed.origin;
    added.text(name::ORIGIN_TOPIC, &origin.topic);
    added.push(name::ORIGIN_PARTITION, origin.partition.to_be_bytes());
    added.push(name::ORIGIN_OFFSET, origin.offset.to_be_bytes());
    if let Some(timestamp) = failed.original_timestamp_ms {
        added.push(name::ORIGIN_TIMESTAMP, timestamp.to_be_bytes());
    }
    added.text(name::GROUP, failed.group);
    added.common(failed);
    let message = shortened(&failed.report.message, RETRY_MESSAGE_BYTES);
    added.push(name::ERROR_MESSAGE, message.into_bytes());
    if let Some(time) = not_before {
        added.push(name::NOT_BEFORE, of_time(time));
    }
    added.headers
}

/// The headers for a retry topic in which a record waits that has not failed: as those of [`retry`], but
/// `failed.attempts` counts the attempt that is still to come, and `delays` says how many delays between attempts it
/// has waited through.
#[must_use]
pub fn put_off(
    own: &Headers,
    failed: &Failed<'_>,
    not_before: Option<std::time::SystemTime>,
    delays: u16,
) -> Headers {
    let mut headers = retry(own, failed, not_before);
    let delays = u32::from(delays).to_be_bytes().to_vec();
    headers.push(name::WAITED, Some(delays));
    headers
}

impl Added {
    fn to(own: &Headers, replaced: impl Fn(&str) -> bool) -> Self {
        Self {
            headers: without(own, replaced),
            bytes: 0,
        }
    }

    fn common(&mut self, failed: &Failed<'_>) {
        self.text(name::ERROR_CODE, failed.report.code.as_str());
        self.push(name::ATTEMPTS, of_attempts(failed.attempts));
        self.push(name::FIRST_FAILURE, of_time(failed.first_failed_at));
        if let Some(part) = failed.part {
            self.text(name::PART, part.as_str());
        }
        if let Some(id) = failed.failed_event {
            self.push(name::FAILED_EVENT, id.to_be_bytes());
        }
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.push(name, bounded(value, NAME_BYTES).as_bytes());
    }

    fn push(&mut self, name: &'static str, value: impl Into<Vec<u8>>) {
        let value = value.into();
        self.bytes += name.len() + value.len();
        self.headers.push(name, Some(value));
    }
}

/// The headers that are not `left_out`, as they are.
pub(crate) fn without(headers: &Headers, left_out: impl Fn(&str) -> bool) -> Headers {
    let mut kept = Headers::new();
    for header in headers.as_slice() {
        if !left_out(&header.name) {
            kept.push(header.name.clone(), header.value.clone());
        }
    }
    kept
}
