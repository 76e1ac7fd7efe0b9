//! A record on its way to Kafka, and one that came back.

use std::fmt;
use std::sync::Arc;

use rdkafka::message::{Headers, Message};

/// The number of a partition of a topic, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub i32);

/// The place of a record in its partition, from 0. As a place to go on at, it is that behind the last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    /// The one behind it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The place of a record in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition.
    pub partition: Partition,
    /// The place in the partition.
    pub offset: Offset,
}

impl Place {
    pub(crate) fn of(message: &impl Message) -> Self {
        Self {
            partition: Partition(message.partition()),
            offset: Offset(message.offset()),
        }
    }
}

/// A partition with its topic. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: Partition,
}

impl TopicPartition {
    /// The partition of this number.
    #[must_use]
    pub fn new(topic: &str, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition: Partition(partition),
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition.0)
    }
}

/// Milliseconds since the Unix epoch. Kafka keeps no finer time and refuses negative ones.
///
/// 0 cannot be sent: librdkafka takes it for "now".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampMillis(pub i64);

/// A header of a record; a value of `None` is Kafka's null, which is not the same as no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// The name, without NUL; names may repeat.
    pub name: &'a str,
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// A record to be sent. Everything is copied when it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None` chooses it by the key as Kafka's own Java client does (murmur2), and
    /// at random for a record without a key.
    pub partition: Option<Partition>,
    /// The key; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is Kafka's null, a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [HeaderRef<'a>],
    /// The time of the record; `None` is the time of sending.
    pub timestamp: Option<TimestampMillis>,
}

/// A header that came back, or was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedHeader {
    /// The name.
    pub name: Box<str>,
    /// The value; `None` is Kafka's null.
    pub value: Option<Box<[u8]>>,
}

/// A record that Kafka did not take, as it was sent. librdkafka does not give its time back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The topic.
    pub topic: Box<str>,
    /// The partition, if one had been given or chosen.
    pub partition: Option<Partition>,
    /// The key; `None` is Kafka's null.
    pub key: Option<Box<[u8]>>,
    /// The value; `None` is Kafka's null.
    pub value: Option<Box<[u8]>>,
    /// The headers, in order.
    pub headers: Box<[OwnedHeader]>,
}

impl OwnedRecord {
    pub(crate) fn of(message: &impl Message) -> Self {
        let headers = message.headers().map(|headers| headers.iter());
        Self {
            topic: message.topic().into(),
            partition: (message.partition() >= 0).then(|| Partition(message.partition())),
            key: message.key().map(Into::into),
            value: message.payload().map(Into::into),
            headers: headers
                .into_iter()
                .flatten()
                .map(|header| OwnedHeader {
                    name: header.key.into(),
                    value: header.value.map(Into::into),
                })
                .collect(),
        }
    }
}

/// Headers count in steps of this many bytes, which also stands for what is kept about each.
pub(crate) const HEADER_UNIT: usize = 64;

/// More header units than this count as this many: 4 MiB, more than brokers take.
const MAX_HEADER_UNITS: usize = u16::MAX as usize;

impl OutgoingRecord<'_> {
    /// Bytes that count against [`Limits`](crate::Limits): the key, the value, and names and values
    /// of the headers, these rounded up to 64 bytes together, and as 4 MiB if they are more.
    #[must_use]
    pub fn size(&self) -> usize {
        let (key, value) = (
            self.key.map_or(0, <[u8]>::len),
            self.value.map_or(0, <[u8]>::len),
        );
        key + value + self.header_units() * HEADER_UNIT
    }

    pub(crate) fn header_units(&self) -> usize {
        let length =
            |header: &HeaderRef<'_>| header.name.len() + header.value.map_or(0, <[u8]>::len);
        let bytes: usize = self.headers.iter().map(length).sum();
        bytes.div_ceil(HEADER_UNIT).min(MAX_HEADER_UNITS)
    }
}
