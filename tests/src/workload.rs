//! An application that writes events in its transactions, and knows for certain which of them it committed.

mod attempt;
mod load;
mod numbers;
mod outcome;
mod transaction;

use std::ops::Range;
use std::time::Instant;

use anyhow::Result;

use crate::database::{Database, DatabaseUrl};
use crate::event::Key;
use crate::journal::Journal;
use crate::random::{Random, fresh_name};
use crate::stopwatch::Phase;
use attempt::Connection;
use numbers::Numbers;
use transaction::Plan;

pub(crate) use attempt::MARKERS;
pub use load::{Load, Pace};
pub use transaction::{Entry, Mix, Transaction};

/// The keys of the whole workload.
pub const KEYS: Range<u16> = 0..500;

/// One application process: a single connection, keys that no other writer uses.
///
/// It survives PostgreSQL: when the connection breaks, it reconnects, finds out what became of its transaction and, if
/// that was lost, does it again. What it promises to the journal is therefore exactly what was committed.
#[derive(Debug)]
pub struct Writer {
    name: String,
    database: DatabaseUrl,
    journal: Journal,
    numbers: Numbers,
    random: Random,
    connection: Option<Connection>,
    transactions: u64,
}

impl Writer {
    /// A writer of events with `keys`, of which there must be at least one. It connects when it first writes.
    pub fn new(database: &Database, journal: &Journal, keys: Range<u16>, seed: u64) -> Self {
        Self {
            name: fresh_name("writer"),
            database: database.url().clone(),
            journal: journal.clone(),
            numbers: Numbers::of(keys),
            random: Random::seeded(seed),
            connection: None,
            transactions: 0,
        }
    }

    /// Commits (or rolls back) one transaction and writes it into the journal.
    ///
    /// # Errors
    /// Fails if PostgreSQL refuses a statement, or is away for more than a minute.
    pub async fn write(
        &mut self,
        transaction: Transaction,
        entry: Entry,
        phase: Phase,
    ) -> Result<()> {
        self.transactions += 1;
        let marker = format!("{}-{}", self.name, self.transactions);
        let plan = Plan::draw(
            transaction,
            entry,
            marker,
            &mut self.numbers,
            &mut self.random,
        );
        let phase = if self.carry_out(&plan).await? {
            phase
        } else {
            Phase::Rough
        };
        self.journal.promise(&plan.events(), Instant::now(), phase);
        Ok(())
    }

    /// Writes transactions of `mix` until `events` more events are committed; how many events of which kind follows
    /// from the seed.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_mix(&mut self, mix: Mix, events: u32, phase: Phase) -> Result<()> {
        let mut left = events;
        while left > 0 {
            left -= self.write_next(mix, left, phase).await?;
        }
        Ok(())
    }

    /// Writes one transaction of `mix` that commits at most `most` events, and says how many it committed.
    async fn write_next(&mut self, mix: Mix, most: u32, phase: Phase) -> Result<u32> {
        let transaction = mix.draw(most, &mut self.random);
        let entry = self.random.pick(&Entry::ALL);
        self.write(transaction, entry, phase).await?;
        Ok(transaction.committed())
    }

    fn draw_key(keys: &Range<u16>, random: &mut Random) -> Key {
        let key = random.within(u64::from(keys.start)..u64::from(keys.end));
        Key(u16::try_from(key).unwrap_or(keys.start))
    }
}
