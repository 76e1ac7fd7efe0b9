//! The identity of an event.

use std::fmt;

/// The identity of an event: the outbox row's `id` as text, never empty.
///
/// Two records with the same id are two copies of one event; a consumer may drop the second.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Box<str>);

/// An event without an id: consumers could not tell its copies apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event id is empty")]
pub struct EmptyEventId;

impl EventId {
    /// Takes any text that is not empty, as it is.
    ///
    /// # Errors
    ///
    /// [`EmptyEventId`] for the empty text.
    pub fn new(id: impl Into<Box<str>>) -> Result<Self, EmptyEventId> {
        let id = id.into();
        if id.is_empty() {
            Err(EmptyEventId)
        } else {
            Ok(Self(id))
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_an_empty_id() {
        assert_eq!(EventId::new(""), Err(EmptyEventId));
    }

    #[test]
    fn keeps_the_text_as_it_is() {
        let id = EventId::new(" Ä-1 ").unwrap();
        assert_eq!(id.as_str(), " Ä-1 ");
        assert_eq!(id.to_string(), " Ä-1 ");
    }
}
