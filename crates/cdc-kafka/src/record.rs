//! A record on its way to Kafka.

/// The number of a partition of a topic, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub i32);

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

impl OutgoingRecord<'_> {
    /// Bytes that count against [`Limits`](crate::Limits): key, value, header names and values.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|header| header.name.len() + header.value.map_or(0, <[u8]>::len))
            .sum();
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }
}
