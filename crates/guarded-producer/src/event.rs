//! An event, as both ways can carry it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::event_id::EventId;
use crate::payload::Payload;

/// The record's header with the event's id.
pub(crate) const ID_HEADER: &str = "id";

/// An event to be sent. What it is about chooses the topic, by the template that the relay has too.
///
/// Texts with a NUL character and a header called `id` are told by [`SendError::Invalid`](crate::SendError::Invalid).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub(crate) id: EventId,
    pub(crate) aggregate_type: String,
    pub(crate) key: Option<String>,
    pub(crate) event_type: String,
    pub(crate) payload: Option<Payload>,
    pub(crate) headers: BTreeMap<HeaderName, Option<String>>,
}

/// The name of a header, in the order that PostgreSQL's `jsonb` has: the shorter one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderName(pub(crate) String);

/// An event that cannot be sent, now or later.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEvent {
    /// PostgreSQL has no text with this character, and librdkafka no name.
    #[error("{0} of the event has a NUL character")]
    Nul(&'static str),
    /// The event's id has this header.
    #[error("the header `id` of an event is its id: set that")]
    IdHeader,
    /// It makes no record, by the rules of the outbox.
    #[error("the event makes no record")]
    Record(#[source] cdc_outbox::InvalidRow),
    /// It is larger than a producer may send.
    #[error("the event makes a record of {bytes} bytes, and message.max.bytes is {limit}")]
    TooLarge {
        /// The size of the record.
        bytes: usize,
        /// What is allowed.
        limit: u64,
    },
}

impl Event {
    /// An event of type `event_type` about a thing of type `aggregate_type`, with a new id and without a key. Without a
    /// payload (`None`) its record has no value: a tombstone in a compacted topic.
    #[must_use]
    pub fn new(
        aggregate_type: impl Into<String>,
        event_type: impl Into<String>,
        payload: impl Into<Option<Payload>>,
    ) -> Self {
        Self {
            id: EventId::random(),
            aggregate_type: aggregate_type.into(),
            key: None,
            event_type: event_type.into(),
            payload: payload.into(),
            headers: BTreeMap::new(),
        }
    }

    /// Which thing it is about: the record's key. Events of one key keep their order.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Its identity, in place of a new one: that of the first attempt, when an event is sent once more.
    #[must_use]
    pub fn with_id(mut self, id: EventId) -> Self {
        self.id = id;
        self
    }

    /// Adds a header, in place of one of that name; `None` is a header without a value. They travel in the order of
    /// their names' lengths, as the outbox keeps them.
    ///
    /// A `traceparent` or `tracestate` that is not what W3C says is left out on both ways.
    #[must_use]
    pub fn with_header(
        mut self,
        name: impl Into<String>,
        value: impl Into<Option<String>>,
    ) -> Self {
        self.headers.insert(HeaderName(name.into()), value.into());
        self
    }

    /// Its identity.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// What the table's columns and Kafka's headers cannot hold.
    pub(crate) fn check(&self) -> Result<(), InvalidEvent> {
        let texts = [
            ("the aggregate type", Some(&self.aggregate_type)),
            ("the key", self.key.as_ref()),
            ("the type", Some(&self.event_type)),
        ];
        let headers = self.headers.iter();
        let headers = headers.flat_map(|(name, value)| [Some(&name.0), value.as_ref()]);
        let all = texts
            .into_iter()
            .chain(headers.map(|text| ("a header", text)));
        for (what, text) in all {
            if text.is_some_and(|text| text.contains('\0')) {
                return Err(InvalidEvent::Nul(what));
            }
        }
        if self.headers.keys().any(|name| name.0 == ID_HEADER) {
            return Err(InvalidEvent::IdHeader);
        }
        Ok(())
    }

    /// The headers as the outbox has them; `None` if there are none.
    pub(crate) fn headers_json(&self) -> Option<String> {
        if self.headers.is_empty() {
            return None;
        }
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let members = self.headers.iter().map(|(name, value)| {
            let value = value.as_deref().map_or("null".to_owned(), text);
            format!("{}:{value}", text(&name.0))
        });
        Some(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }
}

impl Ord for HeaderName {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.as_bytes().cmp(other.0.as_bytes()))
    }
}

impl PartialOrd for HeaderName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event::new("order", "order.paid", None)
    }

    #[test]
    fn refuses_what_the_outbox_cannot_hold() {
        let nul = || "a\0b".to_owned();
        for (event, what) in [
            (Event::new(nul(), "t", None), "the aggregate type"),
            (Event::new("a", nul(), None), "the type"),
            (event().with_key(nul()), "the key"),
            (event().with_header(nul(), None), "a header"),
            (event().with_header("a", nul()), "a header"),
        ] {
            match event.check() {
                Err(InvalidEvent::Nul(found)) => assert_eq!(found, what),
                other => panic!("{what}: {other:?}"),
            }
        }
        let id = event().with_header("id", "x".to_owned());
        assert!(matches!(id.check(), Err(InvalidEvent::IdHeader)));
        assert!(event().check().is_ok());
    }

    #[test]
    fn headers_stand_in_the_order_of_jsonb_and_the_last_one_of_a_name_counts() {
        let event = event()
            .with_header("bb", "1".to_owned())
            .with_header("aaa", None)
            .with_header("c", "\"\\".to_owned())
            .with_header("bb", "2".to_owned());
        assert_eq!(
            event.headers_json().as_deref(),
            Some(r#"{"c":"\"\\","bb":"2","aaa":null}"#)
        );
    }
}
