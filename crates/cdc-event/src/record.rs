//! A record as a handler gets it.

use crate::header::Headers;
use crate::kafka_position::KafkaPosition;

/// A record of Kafka on its way through a handler, whether it comes from its own topic, a retry topic or a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it was first read, before any retry topic: with the consumer group, its identity.
    pub origin: KafkaPosition,
    /// Which part of it is meant, when a handler asked for only a part to be tried again
    /// ([`Failure::Partial`](crate::Failure::Partial)); `None` is all of it.
    pub part: Option<PartId>,
    /// The key; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
    /// The headers of its own, without those that retries add.
    pub headers: Headers,
    /// Milliseconds since 1970, as its first producer or broker set it; `None` when it has no time.
    pub timestamp_ms: Option<i64>,
}

/// The name of a part of a record, chosen by the handler: the id of a webhook endpoint, for example.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId(Box<str>);

/// A name that no part can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a part must be 1 to {max} bytes long, without control characters", max = PartId::MAX_BYTES)]
pub struct InvalidPartId;

impl PartId {
    /// The longest name: it travels in a header and stands in an index.
    pub const MAX_BYTES: usize = 256;

    /// Takes a name.
    ///
    /// # Errors
    ///
    /// [`InvalidPartId`] for one that is empty, longer than [`MAX_BYTES`](Self::MAX_BYTES), or holds control characters.
    pub fn new(name: impl Into<Box<str>>) -> Result<Self, InvalidPartId> {
        let name = name.into();
        let valid =
            (1..=Self::MAX_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
        if valid {
            Ok(Self(name))
        } else {
            Err(InvalidPartId)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for PartId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_part_has_bounds() {
        assert_eq!(PartId::new("ep_1").unwrap().as_str(), "ep_1");
        assert_eq!(PartId::new("x".repeat(256)).unwrap().as_str().len(), 256);
        for name in [String::new(), "x".repeat(257), "a\0b".into(), "a\nb".into()] {
            assert_eq!(PartId::new(name), Err(InvalidPartId));
        }
    }
}
