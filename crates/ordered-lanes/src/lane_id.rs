//! What lane a record belongs to.

use std::fmt;

use cdc_event::{KafkaPosition, Record};
use ring::digest::{Context, SHA256};

/// Bytes of the digest that are kept.
const BYTES: usize = 16;

/// A lane: the records of one key of one topic, as one consumer group reads them. A record without key has a lane of
/// its own, so that it waits for nobody.
///
/// A digest, so that keys of any length cost the same. Two keys with the same digest would only wait for each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId([u8; BYTES]);

impl LaneId {
    /// The lane of a record.
    #[must_use]
    pub fn of(group: &str, record: &Record) -> Self {
        match &record.key {
            Some(key) => Self::digest(&[
                b"key",
                group.as_bytes(),
                record.origin.topic.as_bytes(),
                key,
            ]),
            None => Self::alone("record", group, &record.origin, ""),
        }
    }

    /// A lane that nothing else gets into: for the `part` of a record that an operator has tried again by itself.
    #[must_use]
    pub fn by_itself(group: &str, origin: &KafkaPosition, part: &str) -> Self {
        Self::alone("again", group, origin, part)
    }

    /// The lane with these bytes; `None` if they are not 16.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn alone(kind: &str, group: &str, origin: &KafkaPosition, part: &str) -> Self {
        Self::digest(&[
            kind.as_bytes(),
            group.as_bytes(),
            origin.topic.as_bytes(),
            &origin.partition.to_be_bytes(),
            &origin.offset.to_be_bytes(),
            part.as_bytes(),
        ])
    }

    fn digest(parts: &[&[u8]]) -> Self {
        let mut digest = Context::new(&SHA256);
        for part in parts {
            // With its length, so that no two lists of parts give the same bytes.
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&digest.finish().as_ref()[..BYTES]);
        Self(bytes)
    }
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LaneId({self})")
    }
}

#[cfg(test)]
mod tests {
    use cdc_event::Headers;

    use super::*;

    fn record(topic: &str, offset: i64, key: Option<&[u8]>) -> Record {
        Record {
            origin: KafkaPosition {
                topic: topic.into(),
                partition: 0,
                offset,
            },
            part: None,
            key: key.map(<[u8]>::to_vec),
            value: None,
            headers: Headers::new(),
            timestamp_ms: None,
        }
    }

    #[test]
    fn a_key_has_one_lane_in_each_group_and_topic() {
        let first = LaneId::of("g", &record("t", 1, Some(b"k")));
        assert_eq!(first, LaneId::of("g", &record("t", 2, Some(b"k"))));
        for (group, other) in [
            ("h", record("t", 1, Some(b"k"))),
            ("g", record("u", 1, Some(b"k"))),
            ("g", record("t", 1, Some(b"l"))),
            ("g", record("t", 1, Some(b""))),
            ("gt", record("", 1, Some(b"k"))),
        ] {
            assert_ne!(first, LaneId::of(group, &other), "{group} {other:?}");
        }
    }

    #[test]
    fn records_without_key_have_a_lane_each() {
        let first = record("t", 1, None);
        assert_eq!(LaneId::of("g", &first), LaneId::of("g", &first));
        assert_ne!(
            LaneId::of("g", &first),
            LaneId::of("g", &record("t", 2, None))
        );
        assert_ne!(
            LaneId::of("g", &first),
            LaneId::of("g", &record("t", 1, Some(b"")))
        );
        assert_ne!(
            LaneId::of("g", &first),
            LaneId::by_itself("g", &first.origin, "")
        );
    }
}
