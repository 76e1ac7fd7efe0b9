//! What an event is made into: the parts of a Kafka record.

use std::borrow::Cow;

use smallvec::SmallVec;

/// The number of a partition of a topic, not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub i32);

/// Milliseconds since the Unix epoch, always positive: Kafka refuses a time before it, and librdkafka takes 0 for "now".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

/// A header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name, without NUL; names may repeat.
    pub name: Cow<'a, str>,
    /// The value; `None` is Kafka's null, which is not the same as no bytes.
    pub value: Option<Cow<'a, [u8]>>,
}

/// The headers of a record, in order. As many as the default settings make cost no allocation.
pub type Headers<'a> = SmallVec<[Header<'a>; 4]>;

/// The parts of a Kafka record, borrowed from the row where its bytes pass through unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's identity as text, never empty.
    pub id: Cow<'a, [u8]>,
    /// The topic; a name that Kafka allows.
    pub topic: &'a str,
    /// The value of the routing column.
    pub route: &'a str,
    /// The partition, if a column chooses it. The topic may have fewer.
    pub partition: Option<Partition>,
    /// The key; `None` is Kafka's null.
    pub key: Option<Cow<'a, [u8]>>,
    /// The value; `None` is Kafka's null, a tombstone in a compacted topic.
    pub value: Option<Cow<'a, [u8]>>,
    /// The headers; `id` is the first.
    pub headers: Headers<'a>,
    /// The record's time: that of the timestamp column, else of the commit. `None` for neither.
    pub timestamp: Option<UnixMillis>,
    /// What should be counted.
    pub notices: Notices,
}

/// What went otherwise than asked for, without making the row invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notices {
    /// The payload could not be expanded and was sent as it is.
    pub unexpanded: bool,
    /// A trace context was not one of W3C's and was left out.
    pub invalid_trace_context: bool,
}
