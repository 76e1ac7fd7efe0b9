//! What records of a redirect topic are called: their keys.

use std::fmt;

use cdc_event::{KafkaPosition, PartId};

/// A record that waits, or a part of one: where it was first read. The same record gets the same id however often it is
/// read, so that writing it again changes nothing.
///
/// Their order is that of a key's records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId {
    /// It came back when nothing was left of it here, and waits for nobody.
    pub(crate) alone: bool,
    /// How often the topic was made anew before.
    pub(crate) generation: u32,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) part: Option<PartId>,
}

/// The key of a record of a redirect topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum EntryKey {
    /// Who owns a source partition.
    Owner {
        /// The source partition.
        partition: i32,
    },
    /// A record that waits, or was dealt with.
    Entry(EntryId),
    /// How often an attempt of it was begun and nobody came back.
    Begun(EntryId),
    /// Up to where those behind it are given up with it.
    Dead(EntryId),
    /// Somebody wants it tried again.
    Replay(Origin),
    /// Somebody gave it up for good.
    Discard(Origin),
}

/// Where a record was first read, as others know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Origin {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) part: Option<PartId>,
}

impl EntryId {
    /// The id of the same record without its part.
    pub(crate) fn whole(&self) -> Self {
        Self {
            part: None,
            ..self.clone()
        }
    }

    pub(crate) fn with_part(&self, part: Option<PartId>) -> Self {
        Self {
            part,
            ..self.clone()
        }
    }

    /// Its place among the records of its partition.
    pub(crate) const fn place(&self) -> (u32, i64) {
        (self.generation, self.offset)
    }
}

impl Origin {
    pub(crate) fn of(position: &KafkaPosition, part: Option<&PartId>) -> Self {
        Self {
            partition: position.partition,
            offset: position.offset,
            part: part.cloned(),
        }
    }
}

impl EntryKey {
    /// The source partition that it is about.
    pub(crate) const fn partition(&self) -> i32 {
        match self {
            Self::Owner { partition } => *partition,
            Self::Entry(id) | Self::Begun(id) | Self::Dead(id) => id.partition,
            Self::Replay(origin) | Self::Discard(origin) => origin.partition,
        }
    }

    /// Takes a key apart; `None` for what this version does not know.
    #[must_use]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (kind, rest) = text.split_once('/')?;
        Some(match kind {
            "owner" => Self::Owner {
                partition: rest.parse().ok()?,
            },
            "at" | "alone" => Self::Entry(entry_id(text)?),
            "begun" => Self::Begun(entry_id(rest)?),
            "dead" => Self::Dead(entry_id(rest)?),
            "replay" => Self::Replay(origin(rest)?),
            "discard" => Self::Discard(origin(rest)?),
            _ => return None,
        })
    }
}

fn entry_id(text: &str) -> Option<EntryId> {
    let (kind, rest) = text.split_once('/')?;
    let alone = match kind {
        "at" => false,
        "alone" => true,
        _ => return None,
    };
    let (generation, rest) = rest.split_once('/')?;
    let Origin {
        partition,
        offset,
        part,
    } = origin(rest)?;
    Some(EntryId {
        alone,
        generation: generation.parse().ok()?,
        partition,
        offset,
        part,
    })
}

fn origin(text: &str) -> Option<Origin> {
    let mut pieces = text.splitn(3, '/');
    let partition = pieces.next()?.parse().ok()?;
    let offset = pieces.next()?.parse().ok()?;
    let part = match pieces.next() {
        Some(part) => Some(PartId::new(part).ok()?),
        None => None,
    };
    Some(Origin {
        partition,
        offset,
        part,
    })
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.alone { "alone" } else { "at" };
        let Self {
            generation,
            partition,
            offset,
            part,
            ..
        } = self;
        write!(f, "{kind}/{generation}/{partition}/{offset}")?;
        part.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)?;
        self.part.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner { partition } => write!(f, "owner/{partition}"),
            Self::Entry(id) => id.fmt(f),
            Self::Begun(id) => write!(f, "begun/{id}"),
            Self::Dead(id) => write!(f, "dead/{id}"),
            Self::Replay(origin) => write!(f, "replay/{origin}"),
            Self::Discard(origin) => write!(f, "discard/{origin}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let id = EntryId {
            alone: false,
            generation: 2,
            partition: 3,
            offset: 4,
            part: Some(PartId::new("a/b").unwrap()),
        };
        let origin = Origin {
            partition: 3,
            offset: 4,
            part: None,
        };
        for key in [
            EntryKey::Owner { partition: 7 },
            EntryKey::Entry(id.clone()),
            EntryKey::Entry(EntryId {
                alone: true,
                ..id.whole()
            }),
            EntryKey::Begun(id.clone()),
            EntryKey::Dead(id.clone()),
            EntryKey::Replay(origin.clone()),
            EntryKey::Discard(origin),
        ] {
            assert_eq!(
                EntryKey::parse(key.to_string().as_bytes()),
                Some(key.clone()),
                "{key}"
            );
        }
        assert_eq!(
            EntryKey::Entry(id).to_string(),
            "at/2/3/4/a/b",
            "what operators see"
        );
    }

    #[test]
    fn a_foreign_key_is_not_taken_for_ours() {
        for key in [
            "",
            "at",
            "at/1/2",
            "at/x/2/3",
            "at/1/2/3/",
            "begun/owner/1",
            "other/1/2/3",
        ] {
            assert_eq!(EntryKey::parse(key.as_bytes()), None, "{key}");
        }
    }

    #[test]
    fn ids_sort_as_records_of_a_key_do() {
        let id = |generation, offset| EntryId {
            alone: false,
            generation,
            partition: 0,
            offset,
            part: None,
        };
        assert!(id(0, 9) < id(0, 10));
        assert!(id(0, 10) < id(1, 0));
        assert!(id(0, 9).with_part(Some(PartId::new("z").unwrap())) < id(0, 10));
    }
}
