//! What was promised against what was seen. Pure; what it says is what the tests believe.

mod key_ledger;
mod verdict;

use std::collections::{BTreeMap, HashSet};

use crate::delivery::Delivery;
use crate::event::{Event, Fate, Foreign, Key, Seq};
use key_ledger::{KeyLedger, Sight};

pub use verdict::Verdict;

/// How many descriptions of violations are kept for the report.
const EXAMPLES: usize = 10;

/// Takes what the writer committed and what the consumer received, in the order of the topic's partitions.
///
/// The two sides need not agree on time: a record may well be received before the writer learns that its commit succeeded.
#[derive(Debug, Default)]
pub struct Ledger {
    keys: BTreeMap<Key, KeyLedger>,
    committed: u64,
    seen: u64,
    duplicates: u64,
    order_violations: u64,
    rolled_back: u64,
    rolled_back_seen: HashSet<Event>,
    foreign: u64,
    examples: Vec<String>,
}

/// What a record was to the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// An event of the run that had not been seen before.
    First,
    /// Anything else: a duplicate, a rolled back event, a foreign record.
    Other,
}

/// Counters that may be read at any time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events committed.
    pub committed: u64,
    /// Distinct events received.
    pub received: u64,
    /// Records beyond the first of their event.
    pub duplicates: u64,
}

impl Ledger {
    /// Notes that `event` was committed (or, by its fate, rolled back). Per key, in order of its numbers.
    pub fn promise(&mut self, event: Event) {
        match event.fate {
            Fate::Committed => {
                self.keys.entry(event.key).or_default().promise(event.seq);
                self.committed += 1;
            }
            Fate::RolledBack => self.rolled_back += 1,
        }
    }

    /// Notes that a record with `event` was read from `partition`, in the order of that partition.
    pub fn receive(&mut self, event: Event, partition: i32) -> Received {
        if event.fate == Fate::RolledBack {
            self.rolled_back_seen.insert(event);
            return Received::Other;
        }
        let key = self.keys.entry(event.key).or_default();
        if key.moved_to(partition) {
            self.violation(format!(
                "{} of key {} came in partition {partition}, earlier ones in another",
                event.seq.0, event.key
            ));
        }
        let key = self.keys.entry(event.key).or_default();
        let lowest_missing = key.lowest_unseen();
        match key.see(event.seq) {
            Sight::Next => self.seen += 1,
            Sight::Early => {
                self.seen += 1;
                let (seq, key) = (event.seq.0, event.key);
                self.violation(format!(
                    "{seq} of key {key} came before {}",
                    lowest_missing.0
                ));
            }
            Sight::Again => {
                self.duplicates += 1;
                return Received::Other;
            }
        }
        Received::First
    }

    /// Notes a record that no event of this run explains.
    pub fn receive_foreign(&mut self, foreign: Foreign) {
        self.foreign += 1;
        self.example(foreign.0);
    }

    /// Whether a record with this event was received.
    pub fn has_seen(&self, event: Event) -> bool {
        self.keys
            .get(&event.key)
            .is_some_and(|key| key.has_seen(event.seq))
    }

    /// Events that were committed and not received, so far.
    pub fn missing(&self) -> u64 {
        self.keys.values().map(KeyLedger::missing).sum()
    }

    /// The counters, so far.
    pub fn counts(&self) -> Counts {
        Counts {
            committed: self.committed,
            received: self.seen,
            duplicates: self.duplicates,
        }
    }

    /// The judgement, once the writer has stopped and the topics were read to their end, where `promise` was made.
    pub fn verdict(&self, promise: Delivery) -> Verdict {
        let unknown: u64 = self.keys.values().map(KeyLedger::unpromised).sum();
        let mut examples = self.examples.clone();
        let first_lost = self.keys.iter().find(|(_, key)| key.missing() > 0);
        if let Some((name, key)) = first_lost {
            let Seq(seq) = key.lowest_unseen();
            examples.push(format!("{seq} of key {name} never came"));
        }
        Verdict {
            promise,
            committed: self.committed,
            received: self.seen,
            lost: self.missing(),
            duplicates: self.duplicates,
            order_violations: self.order_violations,
            rolled_back: self.rolled_back,
            rolled_back_seen: self.rolled_back_seen.len() as u64,
            unknown: unknown + self.foreign,
            examples,
        }
    }

    fn violation(&mut self, what: String) {
        self.order_violations += 1;
        self.example(what);
    }

    fn example(&mut self, what: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(what);
        }
    }
}

#[cfg(test)]
mod tests;
