//! An event as the contract has it, whether it came from a table or from a message.

use std::borrow::Cow;

use crate::cloud_events::Media;
use crate::event::{Partition, UnixMillis};
use crate::invalid_row::InvalidRow;
use crate::settings::Target;
use crate::value::{Field, UnixMicros};

/// One event, borrowed from what the stream brought.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) id: Field<'a>,
    pub(crate) key: Field<'a>,
    pub(crate) payload: Field<'a>,
    pub(crate) media: Media,
    pub(crate) event_type: Option<Cow<'a, str>>,
    pub(crate) time: Option<UnixMicros>,
    /// A JSON object of strings, unparsed.
    pub(crate) headers: Option<&'a [u8]>,
    pub(crate) traceparent: Option<Cow<'a, [u8]>>,
    pub(crate) tracestate: Option<Cow<'a, [u8]>>,
    /// What `placement` names, in its order.
    pub(crate) placed: Vec<PlacedField<'a>>,
    pub(crate) partition: Option<Partition>,
    pub(crate) schema_version: Option<i32>,
    pub(crate) origin: Origin<'a>,
}

/// A value for a header or for the envelope.
#[derive(Debug)]
pub(crate) struct PlacedField<'a> {
    pub(crate) target: Target,
    pub(crate) alias: &'a str,
    pub(crate) field: Field<'a>,
}

/// Where events come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// `ce_source` unless the settings have one.
    pub(crate) source: &'a str,
    /// What the envelope's schema is called, around the routing value: `prefix.schema.table` and `Value`. `None`: it is
    /// called as the routing value.
    pub(crate) schema_name: Option<(&'a str, &'a str)>,
}

/// A time that Kafka takes, in milliseconds.
pub(crate) fn record_time(
    time: UnixMicros,
    text: impl FnOnce() -> String,
) -> Result<UnixMillis, InvalidRow> {
    match time.div_euclid(1000) {
        millis @ 1.. => Ok(UnixMillis(millis)),
        _ => Err(InvalidRow::Timestamp { text: text() }),
    }
}

/// The number of a partition from its text.
pub(crate) fn partition(text: &[u8]) -> Result<Partition, InvalidRow> {
    number(text)
        .filter(|number| *number >= 0)
        .map(Partition)
        .ok_or_else(|| InvalidRow::Partition { text: shown(text) })
}

pub(crate) fn number(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A text for a message to the user.
pub(crate) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(100).collect()
}
