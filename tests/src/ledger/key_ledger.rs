//! The ledger of one key.

use std::collections::BTreeSet;

use crate::event::Seq;

/// What was promised and seen of one key. Its size does not grow with the number of events unless order is broken.
#[derive(Debug)]
pub(super) struct KeyLedger {
    promised: u64,
    lowest_unseen: u64,
    ahead: BTreeSet<u64>,
    partition: Option<i32>,
}

/// What a record is to its key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Seen for the first time, and every lower number was seen.
    Next,
    /// Seen for the first time while a lower number is missing.
    Early,
    /// Seen before.
    Again,
}

impl Default for KeyLedger {
    fn default() -> Self {
        Self {
            promised: 0,
            lowest_unseen: 1,
            ahead: BTreeSet::new(),
            partition: None,
        }
    }
}

impl KeyLedger {
    pub(super) fn promise(&mut self, seq: Seq) {
        assert_eq!(seq.0, self.promised + 1, "the writer skipped a number");
        self.promised = seq.0;
    }

    pub(super) fn see(&mut self, Seq(seq): Seq) -> Sight {
        if self.has_seen(Seq(seq)) {
            return Sight::Again;
        }
        if seq > self.lowest_unseen {
            self.ahead.insert(seq);
            return Sight::Early;
        }
        self.lowest_unseen += 1;
        while self.ahead.remove(&self.lowest_unseen) {
            self.lowest_unseen += 1;
        }
        Sight::Next
    }

    pub(super) fn has_seen(&self, Seq(seq): Seq) -> bool {
        seq < self.lowest_unseen || self.ahead.contains(&seq)
    }

    pub(super) fn lowest_unseen(&self) -> Seq {
        Seq(self.lowest_unseen)
    }

    /// Whether an earlier record of the key was in another partition; Kafka keeps no order between partitions.
    pub(super) fn moved_to(&mut self, partition: i32) -> bool {
        *self.partition.get_or_insert(partition) != partition
    }

    /// How many were promised and not seen.
    pub(super) fn missing(&self) -> u64 {
        let ahead = self.ahead.range(..=self.promised).count() as u64;
        (self.promised + 1).saturating_sub(self.lowest_unseen + ahead)
    }

    /// How many were seen and not promised.
    pub(super) fn unpromised(&self) -> u64 {
        let ahead = self.ahead.range(self.promised + 1..).count() as u64;
        self.lowest_unseen.saturating_sub(self.promised + 1) + ahead
    }
}
