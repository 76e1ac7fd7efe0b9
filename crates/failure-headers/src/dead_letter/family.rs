//! Who wrote a dead letter.

use cdc_event::Headers;

use super::{foreign, spring};
use crate::name;
use crate::read::Read;

/// Who wrote a dead letter, by the names of its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// This system.
    Ours,
    /// Spring Kafka, with or without retry topics.
    Spring,
    /// A sink of Kafka Connect.
    Connect,
    /// Kafka Streams.
    Streams,
    /// A broker, for a share group.
    ShareGroup,
    /// SmallRye Reactive Messaging, as in Quarkus.
    SmallRye,
    /// Karafka.
    Karafka,
    /// Dekaf.
    Dekaf,
    /// MassTransit.
    MassTransit,
}

impl Family {
    /// The others, in the order in which they are looked for; those whose names may be an application's own come late.
    const OTHERS: [Self; 8] = [
        Self::Spring,
        Self::Connect,
        Self::Streams,
        Self::ShareGroup,
        Self::SmallRye,
        Self::Dekaf,
        Self::MassTransit,
        Self::Karafka,
    ];

    pub(super) fn of(headers: &Headers) -> Option<Self> {
        let read = Read(headers);
        // Somebody else may have dead-lettered what came through our retry topics: then the class is not our code.
        let code = read.bytes(name::ERROR_CODE);
        if code.is_some() && code == read.bytes(name::spring::CLASS) {
            return Some(Self::Ours);
        }
        let mut families = Self::OTHERS.into_iter().chain([Self::Ours]);
        families.find(|family| family.wrote(read))
    }

    fn wrote(self, read: Read<'_>) -> bool {
        match self {
            // One of these names is used by many applications; together they are no accident.
            Self::Karafka => foreign::karafka(read).origin.is_some(),
            Self::Ours
            | Self::Spring
            | Self::Connect
            | Self::Streams
            | Self::ShareGroup
            | Self::SmallRye
            | Self::Dekaf
            | Self::MassTransit => {
                let mut headers = read.0.as_slice().iter();
                headers.any(|header| self.adds(&header.name))
            }
        }
    }

    /// Whether it adds a header of this name to a record.
    pub(super) fn adds(self, name: &str) -> bool {
        match self {
            Self::Ours => name::is_of_dead_letter(name),
            Self::Spring => spring::adds(name),
            Self::Connect => name.starts_with(foreign::CONNECT),
            Self::Streams => name.starts_with(foreign::STREAMS),
            Self::ShareGroup => name.starts_with(foreign::SHARE_GROUP),
            Self::SmallRye => foreign::SMALLRYE
                .iter()
                .any(|prefix| name.starts_with(prefix)),
            Self::Karafka => foreign::KARAFKA.contains(&name),
            Self::Dekaf => foreign::DEKAF.contains(&name),
            Self::MassTransit => name.starts_with(foreign::MASS_TRANSIT),
        }
    }
}
