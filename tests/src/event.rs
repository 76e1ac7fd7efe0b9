//! The events of the workload: everything about one follows from its key, number and fate.
//!
//! The consumer can therefore tell, from nothing but the run's id, whether the id, key and payload that it got are byte
//! for byte what the writer handed to PostgreSQL.

use std::fmt;

use crate::random;

/// Tells the events of one workload from those of any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunId(u32);

impl RunId {
    /// An id that no other workload has.
    pub fn fresh() -> Self {
        let [a, b, c, d, ..] = random::entropy().to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The aggregate that an event belongs to; order is promised for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u16);

impl Key {
    /// The aggregate type, hence the topic: keys alternate between the two.
    pub fn aggregate(self) -> Aggregate {
        if self.0.is_multiple_of(2) {
            Aggregate::Order
        } else {
            Aggregate::Payment
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{}", self.0)
    }
}

/// The aggregate types of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// Keys with an even number.
    Order,
    /// Keys with an odd number.
    Payment,
}

impl Aggregate {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Order, Self::Payment];

    /// As written into the column `aggregatetype`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Payment => "payment",
        }
    }
}

/// Counts the events of a key from 1, in commit order and without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// What the writer means to do with the transaction of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is committed: the event must arrive.
    Committed,
    /// It, or the savepoint around the event, is rolled back: the event must never be seen.
    RolledBack,
}

impl Fate {
    /// As written into the payload.
    pub fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::RolledBack => "rolled back",
        }
    }

    fn digit(self) -> char {
        match self {
            Self::Committed => '0',
            Self::RolledBack => 'f',
        }
    }
}

/// One event. Numbers of rolled back events are counted apart from those of committed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event {
    /// Its aggregate.
    pub key: Key,
    /// Its number among the events of its key and fate.
    pub seq: Seq,
    /// What becomes of it.
    pub fate: Fate,
}

/// A record that is not what the writer wrote under that id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign(pub String);

impl Event {
    /// The event's id, a UUID in PostgreSQL's notation.
    pub fn id(&self, run: RunId) -> String {
        let Self { key, seq, fate } = *self;
        let fate = fate.digit();
        format!("{run}-{:04x}-400{fate}-8000-{:012x}", key.0, seq.0)
    }

    /// The payload. Its spacing, escapes and non-ASCII letters would not survive a JSON parser and printer.
    pub fn payload(&self) -> String {
        let Self { key, seq, fate } = *self;
        let fate = fate.name();
        format!(
            "{{\"key\":\"{key}\",  \"seq\":{},\"fate\":\"{fate}\", \"note\":\"na\\u00efve café ✓\", \"amount\":1.50}}",
            seq.0
        )
    }

    /// Reads an event back from a record.
    ///
    /// # Errors
    /// Says what differs if the id is not of this run, or key or payload are not those of this id.
    pub fn read(run: RunId, id: &[u8], key: &[u8], payload: &[u8]) -> Result<Self, Foreign> {
        let id = str::from_utf8(id).map_err(|_| Foreign(format!("id {id:?} is not text")))?;
        let event = Self::from_id(run, id)
            .ok_or_else(|| Foreign(format!("id {id} is not of run {run}")))?;
        if key != event.key.to_string().as_bytes() {
            let key = String::from_utf8_lossy(key);
            return Err(Foreign(format!("id {id} came with key {key}")));
        }
        if payload != event.payload().as_bytes() {
            let payload = String::from_utf8_lossy(payload);
            return Err(Foreign(format!("id {id} came with payload {payload}")));
        }
        Ok(event)
    }

    fn from_id(run: RunId, id: &str) -> Option<Self> {
        let key = u16::from_str_radix(id.get(9..13)?, 16).ok()?;
        let seq = u64::from_str_radix(id.get(24..)?, 16).ok()?;
        let fate = match id.get(17..18)? {
            "0" => Fate::Committed,
            "f" => Fate::RolledBack,
            _ => return None,
        };
        let event = Self {
            key: Key(key),
            seq: Seq(seq),
            fate,
        };
        (event.id(run) == id).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: Event = Event {
        key: Key(499),
        seq: Seq(1_000_000),
        fate: Fate::Committed,
    };

    #[test]
    fn reads_back_what_it_writes() {
        let run = RunId::fresh();
        for fate in [Fate::Committed, Fate::RolledBack] {
            let event = Event { fate, ..EVENT };
            let read = Event::read(
                run,
                event.id(run).as_bytes(),
                b"k499",
                event.payload().as_bytes(),
            );
            assert_eq!(read, Ok(event));
        }
    }

    #[test]
    fn payload_is_json_that_a_printer_would_change() {
        let value: serde_json::Value = serde_json::from_str(&EVENT.payload()).unwrap();
        assert_eq!(value["seq"], 1_000_000);
        assert_ne!(value.to_string(), EVENT.payload());
    }

    #[test]
    fn refuses_other_runs_keys_and_payloads() {
        let (run, other) = (RunId(1), RunId(2));
        let id = EVENT.id(run);
        let payload = EVENT.payload();
        assert!(Event::read(other, id.as_bytes(), b"k499", payload.as_bytes()).is_err());
        assert!(Event::read(run, id.as_bytes(), b"k498", payload.as_bytes()).is_err());
        assert!(Event::read(run, id.as_bytes(), b"k499", &payload.as_bytes()[1..]).is_err());
        assert!(Event::read(run, b"", b"k499", payload.as_bytes()).is_err());
        assert!(Event::read(run, "ééééééééééééééééééé".as_bytes(), b"", b"").is_err());
    }
}
