//! Where a failed event came from.

use std::fmt;

use cdc_event::{KafkaPosition, PartId, Position};
use pg_replication::{SlotName, SystemId};

/// Where a failed event came from. Two failures with the same origin and event id are one event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The relay read it from the write-ahead log and could not get it into Kafka.
    Relay {
        /// The cluster: positions of different servers have nothing to do with each other.
        system_id: SystemId,
        /// The slot that it was read from.
        slot: SlotName,
        /// Where it stands in the log.
        position: Position,
    },
    /// A consumer group read it from Kafka and could not handle it.
    Consumer {
        /// The consumer group.
        group: String,
        /// The record that the group failed at first, before any retry topic.
        record: KafkaPosition,
        /// Which part of it; `None` is all of it.
        part: Option<PartId>,
    },
}

/// Which side an event failed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// See [`Origin::Relay`].
    Relay,
    /// See [`Origin::Consumer`].
    Consumer,
}

impl Origin {
    /// The side.
    #[must_use]
    pub const fn source(&self) -> Source {
        match self {
            Self::Relay { .. } => Source::Relay,
            Self::Consumer { .. } => Source::Consumer,
        }
    }
}

impl Source {
    /// As the table has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Consumer => "consumer",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay { slot, position, .. } => write!(f, "slot {slot} at {position}"),
            Self::Consumer {
                group,
                record,
                part,
            } => {
                write!(f, "group {group} at {record}")?;
                part.iter().try_for_each(|part| write!(f, ", part {part}"))
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
