//! Records that wait, and what is left of them.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use crate::failure::HandlerError;
use crate::handler::Attempt;
use crate::record::{PartId, Record};

/// What to do with a record that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is its turn: handle it.
    Process,
    /// An earlier record of the key waits, and this one behind it: the offset may be stored.
    Parked,
    /// It waits already, or was dealt with, and is read again: the offset may be stored.
    DealtWith,
}

/// Whether a record that comes back was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It waits for its turn again: the offset may be stored.
    Taken,
    /// Nothing is known of it: it is handled as any other retry.
    Unknown,
}

/// The first record of a key, which the others wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The record; its part, if only that is left to do.
    pub record: Record,
    /// How often it was tried; 0 for what only waited behind another.
    pub attempts: u32,
    /// How many delays between attempts it has waited through.
    pub delays: u16,
    /// How often it was begun and nobody came back to say how it ended.
    pub abandoned: u32,
    /// When it failed first.
    pub first_failed_at: Option<SystemTime>,
    /// What is to be done with it.
    pub turn: Turn,
}

/// What is to be done with a record whose turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Try it.
    Try,
    /// Give it up without an attempt: the one that it waited for was given up, and all behind it with it.
    GiveUp,
}

/// What is left to do of a record after an attempt: all of it, or a part.
#[derive(Debug)]
pub struct Unfinished {
    /// The part; `None` is all of it.
    pub part: Option<PartId>,
    /// The attempt that failed.
    pub attempt: Attempt,
    /// Why.
    pub error: HandlerError,
    /// What is to be done about it.
    pub fate: Fate,
    /// How many delays between attempts it will have waited through, with the one that begins now.
    pub delays: u16,
}

/// What is to be done about what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Try again, not before this has passed.
    Again(Duration),
    /// It is given up.
    Dead,
}

impl Head {
    /// The attempt that comes next. One that nobody came back from was one too.
    #[must_use]
    pub const fn attempt(&self) -> Attempt {
        let before = self.attempts.saturating_add(self.abandoned);
        Attempt {
            number: NonZeroU32::MIN.saturating_add(before),
            first_failed_at: self.first_failed_at,
        }
    }
}
