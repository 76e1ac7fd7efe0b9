//! The query that reads a table, and how it compares transaction ids.
//!
//! A row's `xmin` has the lower 32 bits of the id of the transaction that wrote it. `age(xmin)` and the like know only
//! whether an id is before or after another by less than 2³¹, which is not enough: a row that was frozen keeps its
//! `xmin` and may be older. But no row that the scan sees is younger than the scan's own snapshot. So an `xmin` counts
//! from the end of that (a number of 64 bits) backwards, by 0 to 2³² - 1: right for every row that is less than 2³²
//! transactions old. An older one can't be told from one that is a round younger.

use pg_replication::pgoutput::{Relation, Xid};
use pg_replication::quote_ident;

use crate::catalog::LockedLeaf;
use crate::position::Written;
use crate::snapshot::Snapshot;

/// The lower 32 bits.
const MASK: u64 = 0xFFFF_FFFF;

/// Transaction ids below this are no transactions': of rows from when the cluster was made, or that were frozen by
/// PostgreSQL 9.3 or older. Older than everything.
const FIRST_NORMAL: u64 = 3;

/// The lower half of a row's transaction id, of the table `t`.
const XMIN: &str = "t.xmin::text::int8";

/// Which rows are read, by their transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    /// The end of the scan's own snapshot.
    end: u64,
    seen_by: Option<Snapshot>,
    since: Option<u64>,
}

impl Filter {
    /// For a transaction that sees `own`: rows that `seen_by` sees too, and that are not older than `since`.
    pub(crate) fn new(own: &Snapshot, seen_by: Option<Snapshot>, since: Option<Xid>) -> Self {
        let end = own.xmax();
        Self {
            end,
            seen_by,
            since: since.map(|since| full(end, since.get().into())),
        }
    }

    /// All 64 bits of the id of the transaction that wrote a row, of which the row has the lower 32; 0 if that is older
    /// than all.
    pub(crate) fn transaction(&self, xmin: Xid) -> u64 {
        let xmin = u64::from(xmin.get());
        if xmin < FIRST_NORMAL {
            0
        } else {
            full(self.end, xmin)
        }
    }

    /// [`full`] as SQL, of the table `t`.
    fn full(&self) -> String {
        format!("({end} - (({end} - {XMIN}) & {MASK}))", end = self.end)
    }

    /// The transaction of [`Written`] as SQL, of the table `t`.
    fn transaction_of_row(&self) -> String {
        let full = self.full();
        format!("CASE WHEN {XMIN} < {FIRST_NORMAL} THEN 0 ELSE {full} END")
    }

    /// By what the rows of `t` are ordered: [`Written`].
    fn order(&self) -> String {
        format!("{}, t.cmin::text::int8, t.ctid", self.transaction_of_row())
    }

    /// Which rows of `t` may be behind `after`.
    ///
    /// Where a row keeps its command, an attempt to remove it puts its own, for good. So of the transaction that was
    /// under way, each row that somebody has touched is read again: once too often rather than never.
    fn is_behind(&self, after: Written) -> String {
        let Written {
            transaction,
            command,
            place,
        } = after;
        let (order, of_row) = (self.order(), self.transaction_of_row());
        format!(
            "(({order}) > ({transaction}, {command}, '{place}'::tid) \
             OR ({of_row} = {transaction} AND t.xmax::text <> '0'))"
        )
    }

    /// Which rows of the table `t` are wanted.
    fn conditions(&self) -> Vec<String> {
        let full = self.full();
        let mut all = Vec::new();
        if let Some(snapshot) = &self.seen_by {
            let mut seen = format!("{full} < {}", snapshot.xmax());
            let running: Vec<String> = snapshot.running().iter().map(u64::to_string).collect();
            if !running.is_empty() {
                let list = running.join(",");
                seen = format!("{seen} AND {full} <> ALL ('{{{list}}}'::int8[])");
            }
            all.push(format!("({XMIN} < {FIRST_NORMAL} OR {seen})"));
        }
        if let Some(since) = self.since {
            all.push(format!("{XMIN} >= {FIRST_NORMAL} AND {full} >= {since}"));
        }
        all
    }
}

/// The newest id before `end` whose lower 32 bits are `xid`; see the conditions above, which say the same.
fn full(end: u64, xid: u64) -> u64 {
    // Below zero when the counter never reached `xid`: nothing is that old.
    end.saturating_sub(end.wrapping_sub(xid) & MASK)
}

/// Reads the rows of `leaf` behind `after`, in the order of [`Written`]: place, transaction, command, and the columns of
/// its relation. Places alone would not do: a row goes wherever there is room for it.
pub(crate) fn select(leaf: &LockedLeaf, filter: &Filter, after: Option<Written>) -> String {
    let order = filter.order();
    let mut conditions = filter.conditions();
    conditions.extend(after.map(|after| filter.is_behind(after)));
    if conditions.is_empty() {
        conditions.push("true".to_owned());
    }
    format!(
        "SELECT t.ctid, t.xmin, t.cmin{} FROM ONLY {} AS t WHERE {} ORDER BY {order}",
        columns(&leaf.relation),
        leaf.sql_name,
        conditions.join(" AND ")
    )
}

fn columns(relation: &Relation) -> String {
    let columns = relation.columns.iter();
    columns
        .map(|column| format!(", t.{}", quote_ident(&column.name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROUND: u64 = 1 << 32;

    #[test]
    fn a_transaction_id_counts_backwards_from_the_end() {
        for (end, xid, expected) in [
            (100, 99, 99),
            (100, 3, 3),
            // In the second round.
            (ROUND + 100, 99, ROUND + 99),
            // Not begun yet: nothing is as young.
            (ROUND + 100, 100, ROUND + 100),
            (ROUND + 100, 0xFFFF_FFFF, ROUND - 1),
            (ROUND + 3, 0xFFFF_FFF0, 0xFFFF_FFF0),
            (5 * ROUND, 0xFFFF_FFFF, 5 * ROUND - 1),
            (5 * ROUND, 3, 4 * ROUND + 3),
            // Older by more than half a round: where signed distances go wrong.
            (ROUND + 3_000_000_000, 10, ROUND + 10),
        ] {
            assert_eq!(full(end, xid), expected, "{end} {xid}");
        }
    }

    proptest! {
        #[test]
        fn finds_every_transaction_of_the_last_round(end in ROUND..(1 << 62), back in 1_u64..ROUND) {
            let xid = end - back;
            prop_assert_eq!(full(end, xid & MASK), xid);
        }
    }
}
