//! A failed event, as it is given to the store and as it comes out of it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::SystemTime;

use cdc_event::{EventId, KafkaPosition};

use crate::error_report::ErrorReport;
use crate::fingerprint::Fingerprint;
use crate::origin::Origin;
use crate::record::{Contents, Target};
use crate::status::Status;

/// The number of a failed event in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailedEventId(i64);

/// A failed event that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFailedEvent {
    /// Where it came from: its identity in the store, with the event id.
    pub origin: Origin,
    /// The event's id, if it has one.
    pub event_id: Option<EventId>,
    /// Where a replay is to send it; `None` when no record could be made of it, so that it cannot be replayed.
    pub target: Option<Target>,
    /// Its record, or what is known of it.
    pub contents: Contents,
    /// Why it failed.
    pub error: ErrorReport,
    /// How often it failed; of a consumer, over all retries and replays.
    pub attempts: NonZeroU32,
    /// When it failed first; `None` is now.
    pub first_failed_at: Option<SystemTime>,
    /// The dead letter that this was taken from, for an event of a consumer: the same one again is a repetition,
    /// another one means that the event failed again.
    pub dead_letter: Option<KafkaPosition>,
}

/// A failed event without the bulk of its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedEvent {
    /// Its number.
    pub id: FailedEventId,
    /// Where it came from.
    pub origin: Origin,
    /// The event's id, if it has one.
    pub event_id: Option<String>,
    /// Where a replay sends it; `None` when it cannot be replayed.
    pub target: Option<Target>,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// Bytes of the record's value; `None` when it has none.
    pub payload_bytes: Option<u64>,
    /// Why it failed last; a list leaves the backtrace out.
    pub error: ErrorReport,
    /// How often it failed.
    pub attempts: u32,
    /// When it failed first.
    pub first_failed_at: SystemTime,
    /// When it failed last.
    pub last_failed_at: SystemTime,
    /// Which trouble it belongs to.
    pub fingerprint: Fingerprint,
    /// What is done about it.
    pub status: Status,
    /// When the status changed last.
    pub status_changed_at: SystemTime,
    /// Who changed it; `None` when nobody did.
    pub status_changed_by: Option<String>,
    /// What the last one who changed it had to say.
    pub note: Option<String>,
    /// Until when a replay holds it.
    pub lease_until: Option<SystemTime>,
}

/// A failed event with everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedEventDetails {
    /// The event.
    pub event: FailedEvent,
    /// Its contents.
    pub contents: Contents,
    /// What was done about it, oldest first.
    pub actions: Vec<Action>,
}

/// Something that was done about a failed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The status that it gave to the event.
    pub status: Status,
    /// When.
    pub at: SystemTime,
    /// Who.
    pub actor: String,
    /// What they had to say.
    pub note: Option<String>,
    /// The payload that the event had before, if they replaced it.
    pub replaced: Option<ReplacedPayload>,
}

/// A payload that was replaced by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedPayload {
    /// What it was; `None` is Kafka's null.
    pub payload: Option<Vec<u8>>,
}

impl FailedEventId {
    /// A number of the store.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for FailedEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for FailedEventId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
