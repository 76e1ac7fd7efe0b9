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
use crate::position::TupleId;
use crate::snapshot::Snapshot;

/// The lower 32 bits.
const MASK: u64 = 0xFFFF_FFFF;

/// Transaction ids below this are no transactions': of rows from when the cluster was made, or that were frozen by
/// PostgreSQL 9.3 or older. Older than everything.
const FIRST_NORMAL: u64 = 3;

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

    /// The same as SQL, of the table `t`.
    fn conditions(&self) -> Vec<String> {
        let xmin = "t.xmin::text::int8";
        let full = format!("{end} - (({end} - {xmin}) & {MASK})", end = self.end);
        let mut all = Vec::new();
        if let Some(snapshot) = &self.seen_by {
            let mut seen = format!("{full} < {}", snapshot.xmax());
            let running: Vec<String> = snapshot.running().iter().map(u64::to_string).collect();
            if !running.is_empty() {
                let list = running.join(",");
                seen = format!("{seen} AND {full} <> ALL ('{{{list}}}'::int8[])");
            }
            all.push(format!("({xmin} < {FIRST_NORMAL} OR {seen})"));
        }
        if let Some(since) = self.since {
            all.push(format!("{xmin} >= {FIRST_NORMAL} AND {full} >= {since}"));
        }
        all
    }
}

/// The newest id before `end` whose lower 32 bits are `xid`; see the conditions above, which say the same.
fn full(end: u64, xid: u64) -> u64 {
    // Below zero when the counter never reached `xid`: nothing is that old.
    end.saturating_sub(end.wrapping_sub(xid) & MASK)
}

/// Reads the rows of `leaf` behind `after`: place, transaction, and the columns of its relation.
pub(crate) fn select(leaf: &LockedLeaf, filter: &Filter, after: Option<TupleId>) -> String {
    let mut conditions = filter.conditions();
    // Also without a place to begin at: it makes the server go by places.
    let after = after.unwrap_or(TupleId {
        block: 0,
        offset: 0,
    });
    conditions.insert(0, format!("t.ctid > '{after}'::tid"));
    format!(
        "SELECT t.ctid, t.xmin{} FROM ONLY {} AS t WHERE {}",
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
