//! The judgement over a run.

use std::fmt;

use anyhow::{Result, ensure};

use crate::delivery::Delivery;
use crate::report::Table;

/// What was promised and what was seen, at the end of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What was promised about duplicates.
    pub promise: Delivery,
    /// Events committed.
    pub committed: u64,
    /// Distinct events received.
    pub received: u64,
    /// Events committed and never received. Promised: 0.
    pub lost: u64,
    /// Records beyond the first of their event. Promised: 0, if delivery is exactly once.
    pub duplicates: u64,
    /// Events whose first record came before that of a lower number of their key, or in another partition. Promised: 0.
    pub order_violations: u64,
    /// Events of transactions and savepoints that were rolled back.
    pub rolled_back: u64,
    /// How many of those were received. Promised: 0.
    pub rolled_back_seen: u64,
    /// Records that nothing committed explains: altered, foreign, made up. Promised: 0.
    pub unknown: u64,
    /// A few of the violations, in words.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        let unwanted = match self.promise {
            Delivery::ExactlyOnce => self.duplicates,
            Delivery::AtLeastOnce => 0,
        };
        self.lost + self.order_violations + self.rolled_back_seen + self.unknown + unwanted == 0
    }

    /// Duplicates in percent of the events received; 0 if there were none.
    pub fn duplicate_percent(&self) -> f64 {
        if self.received == 0 {
            return 0.0;
        }
        self.duplicates as f64 * 100.0 / self.received as f64
    }

    /// Turns a broken promise into an error that shows the table.
    ///
    /// # Errors
    /// Fails unless [`is_clean`](Self::is_clean), and if nothing was committed at all: that would prove nothing.
    pub fn require_clean(&self) -> Result<()> {
        ensure!(self.committed > 0, "nothing was committed");
        ensure!(self.is_clean(), "promises were broken:\n{self}");
        Ok(())
    }

    /// The table "promised, seen", for a person.
    pub fn table(&self) -> Table {
        let mut table = Table::new(["events", "promised", "seen"]);
        table.row(["committed", "", &self.committed.to_string()]);
        table.row([
            "received",
            &self.committed.to_string(),
            &self.received.to_string(),
        ]);
        table.row(["lost", "0", &self.lost.to_string()]);
        table.row([
            "order violations per key",
            "0",
            &self.order_violations.to_string(),
        ]);
        let seen = format!("{} of {}", self.rolled_back_seen, self.rolled_back);
        table.row(["rolled back and seen", "0", &seen]);
        table.row(["altered or unknown", "0", &self.unknown.to_string()]);
        let share = format!("{} ({:.1} %)", self.duplicates, self.duplicate_percent());
        let promised = match self.promise {
            Delivery::ExactlyOnce => "0",
            Delivery::AtLeastOnce => "re-delivered tails",
        };
        table.row(["duplicates", promised, &share]);
        table
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table())?;
        for example in &self.examples {
            writeln!(f, "  ! {example}")?;
        }
        Ok(())
    }
}
