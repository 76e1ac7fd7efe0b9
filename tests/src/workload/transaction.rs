//! What a writer does in one transaction.

use super::Writer;
use super::numbers::Numbers;
use crate::event::{Event, Fate, Key};
use crate::random::Random;

/// The largest batch of the mixed workload.
const BATCH: u32 = 100;

/// A transaction, by what it does with its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// Writes events one by one and commits.
    Commit {
        /// How many.
        events: u32,
    },
    /// Writes events one by one and rolls back.
    RollBack {
        /// How many.
        events: u32,
    },
    /// Writes events around a savepoint to which it rolls back, and commits.
    Savepoint {
        /// How many events stay: half of them before, the others after.
        events: u32,
        /// How many are undone.
        undone: u32,
    },
    /// Writes all events with a single `INSERT … SELECT` and commits; keys take turns.
    Bulk {
        /// How many.
        events: u32,
    },
}

/// How an event gets into the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `INSERT INTO cdc.outbox`.
    Insert,
    /// `cdc.emit`.
    Emit,
    /// `cdc.emit_message`.
    Message,
}

/// The kinds of transactions that a writer chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// One event a transaction, always committed.
    SingleRows,
    /// Single rows, batches of up to 100, rollbacks, savepoints.
    Everything,
}

impl Entry {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Insert, Self::Emit, Self::Message];
}

impl Transaction {
    /// How many events it commits.
    pub fn committed(self) -> u32 {
        match self {
            Self::Commit { events } | Self::Savepoint { events, .. } | Self::Bulk { events } => {
                events
            }
            Self::RollBack { .. } => 0,
        }
    }
}

impl Mix {
    pub(super) fn draw(self, most: u32, random: &mut Random) -> Transaction {
        let batch = most.min(BATCH);
        match (self, random.within(0..100)) {
            (Self::SingleRows, _) | (Self::Everything, 0..60) => Transaction::Commit { events: 1 },
            (Self::Everything, 60..80) => Transaction::Commit { events: batch },
            (Self::Everything, 80..90) => Transaction::Savepoint {
                events: batch.div_ceil(10),
                undone: 5,
            },
            (Self::Everything, _) => Transaction::RollBack { events: 10 },
        }
    }
}

/// A transaction with its events drawn. It can be carried out more than once: as long as it was not committed.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) marker: String,
    pub(super) entry: Entry,
    pub(super) steps: Steps,
}

#[derive(Debug)]
pub(super) enum Steps {
    Commit(Vec<Event>),
    RollBack(Vec<Event>),
    Savepoint {
        before: Vec<Event>,
        undone: Vec<Event>,
        after: Vec<Event>,
    },
    /// `last`: the number of each key's last event before this transaction.
    Bulk {
        first_key: Key,
        last: Vec<u64>,
        events: Vec<Event>,
    },
}

impl Plan {
    pub(super) fn draw(
        transaction: Transaction,
        entry: Entry,
        marker: String,
        numbers: &mut Numbers,
        random: &mut Random,
    ) -> Self {
        let mut draw = |count: u32, fate| -> Vec<Event> {
            (0..count)
                .map(|_| numbers.next(Writer::draw_key(&numbers.keys().clone(), random), fate))
                .collect()
        };
        let steps = match transaction {
            Transaction::Commit { events } => Steps::Commit(draw(events, Fate::Committed)),
            Transaction::RollBack { events } => Steps::RollBack(draw(events, Fate::RolledBack)),
            Transaction::Savepoint { events, undone } => Steps::Savepoint {
                before: draw(events / 2, Fate::Committed),
                undone: draw(undone, Fate::RolledBack),
                after: draw(events - events / 2, Fate::Committed),
            },
            Transaction::Bulk { events } => {
                let (keys, last) = (numbers.keys().clone(), numbers.last_committed().to_vec());
                let turns = keys.clone().cycle().zip(0..events);
                let events = turns
                    .map(|(key, _)| numbers.next(Key(key), Fate::Committed))
                    .collect();
                Steps::Bulk {
                    first_key: Key(keys.start),
                    last,
                    events,
                }
            }
        };
        Self {
            marker,
            entry,
            steps,
        }
    }

    /// All its events, in the order in which they are written.
    pub(super) fn events(&self) -> Vec<Event> {
        match &self.steps {
            Steps::Commit(events) | Steps::RollBack(events) | Steps::Bulk { events, .. } => {
                events.clone()
            }
            Steps::Savepoint {
                before,
                undone,
                after,
            } => [&before[..], undone, after].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Delivery;

    #[test]
    fn a_plan_numbers_events_per_key_without_gaps() {
        let mut numbers = Numbers::of(3..5);
        let mut random = Random::seeded(1);
        let mut ledger = crate::ledger::Ledger::default();
        for transaction in [
            Transaction::Bulk { events: 7 },
            Transaction::Savepoint {
                events: 5,
                undone: 3,
            },
            Transaction::RollBack { events: 4 },
            Transaction::Commit { events: 2 },
        ] {
            let plan = Plan::draw(
                transaction,
                Entry::Emit,
                String::new(),
                &mut numbers,
                &mut random,
            );
            let events = plan.events();
            let committed = events.iter().filter(|event| event.fate == Fate::Committed);
            assert_eq!(committed.count() as u32, transaction.committed());
            // The ledger panics at a gap.
            events.iter().for_each(|&event| ledger.promise(event));
        }
        assert_eq!(ledger.counts().committed, 14);
        assert_eq!(ledger.verdict(Delivery::ExactlyOnce).rolled_back, 7);
    }

    #[test]
    fn a_mix_never_commits_more_than_asked() {
        let mut random = Random::seeded(1);
        for most in [1, 5, 1000] {
            assert!((0..500).all(|_| Mix::Everything.draw(most, &mut random).committed() <= most));
        }
    }
}
