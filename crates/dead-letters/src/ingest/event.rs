//! From a dead letter to a failed event.

use std::num::NonZeroU32;

use cdc_event::{EventId, Headers, Record};
use cdc_store::{Contents, ErrorReport, FailedEventId, NewFailedEvent, Origin, Target};
use failure_headers::{DeadLetter, FailureReport, read_dead_letter};

use super::ReplayEntries;

/// The code of a dead letter that does not say why it is one.
const UNKNOWN: &str = "unknown";

/// The header that has the event's id.
const ID: &str = "id";

/// A dead letter as it is stored.
pub(super) struct DeadLetterEvent {
    pub(super) event: NewFailedEvent,
    /// The failed event that it was replayed from, when it has lost where that came from.
    pub(super) replay_of: Option<FailedEventId>,
}

impl DeadLetterEvent {
    /// As much as the record says. `group` is whose it is if it does not say.
    pub(super) fn of(record: &Record, group: &str, entries: &impl ReplayEntries) -> Self {
        let letter = read_dead_letter(&record.headers);
        let group = letter.group.as_deref().unwrap_or(group).to_owned();
        let target = target(&letter, &group, entries);
        let event_id = event_id(&letter.own);
        let replay_of = match letter.origin {
            None => letter.failed_event.map(FailedEventId::new),
            Some(_) => None,
        };
        let event = NewFailedEvent {
            origin: Origin::Consumer {
                group,
                record: letter.origin.unwrap_or_else(|| record.origin.clone()),
                part: letter.part,
            },
            event_id,
            target,
            contents: Contents {
                key: record.key.clone(),
                payload: record.value.clone(),
                headers: letter.own,
                timestamp_ms: letter.original_timestamp_ms.or(record.timestamp_ms),
            },
            error: report(letter.report),
            attempts: letter.attempts.unwrap_or(NonZeroU32::MIN),
            first_failed_at: letter.first_failed_at,
            dead_letter: Some(record.origin.clone()),
        };
        Self { event, replay_of }
    }
}

/// The partition is that of the origin, where the group has its other records of the key.
fn target(letter: &DeadLetter, group: &str, entries: &impl ReplayEntries) -> Option<Target> {
    match &letter.origin {
        Some(origin) => entries.entry(group, &origin.topic).map(|topic| Target {
            topic,
            partition: Some(origin.partition),
        }),
        None => entries.entry_of_unknown().map(|topic| Target {
            topic,
            partition: None,
        }),
    }
}

fn event_id(own: &Headers) -> Option<EventId> {
    let id = own.last(ID)?.value.as_deref()?;
    EventId::new(String::from_utf8_lossy(id)).ok()
}

fn report(report: Option<FailureReport>) -> ErrorReport {
    let Some(report) = report else {
        return ErrorReport::new(UNKNOWN, "the dead letter does not say why it is one", []);
    };
    let chain = report.chain.iter().map(String::as_str);
    ErrorReport::new(report.code.as_str(), &report.message, chain)
        .with_backtrace(report.backtrace.as_deref())
}
