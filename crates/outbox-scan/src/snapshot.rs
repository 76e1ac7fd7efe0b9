//! Which transactions a moment sees.

use std::fmt;
use std::str::FromStr;

use pg_replication::pgoutput::Xid;
use pg_replication::{Client, Error as PostgresError};

use crate::error::Error;

/// The transactions that were finished at a moment, as PostgreSQL's type `pg_snapshot` has them. Its transaction ids have
/// 64 bits and never come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// All before it were finished.
    xmin: u64,
    /// It and all after it had not begun.
    xmax: u64,
    /// Those between that were not finished, in order.
    running: Vec<u64>,
}

/// The text is not of the form `xmin:xmax:xid,…`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot: {text:?} (expected a form such as 10:20:10,14,15)")]
pub struct InvalidSnapshot {
    text: String,
}

/// The session's snapshot: of the open transaction if that is a repeatable-read one, otherwise that of now.
///
/// In a transaction that imported a slot's exported snapshot it is exact. Any other does not list the subtransactions
/// (savepoints, exception blocks of PL/pgSQL) of running transactions: their rows count as seen.
///
/// # Errors
///
/// As of any query.
pub async fn take_snapshot(client: &Client) -> Result<Snapshot, Error> {
    let failed = |source: PostgresError| Error::Postgres {
        doing: "take a snapshot",
        source,
    };
    let row = client
        .query_one("SELECT pg_catalog.pg_current_snapshot()::text", &[])
        .await
        .map_err(|error| failed(error.into()))?;
    let text: &str = row.try_get(0).map_err(|error| failed(error.into()))?;
    text.parse()
        .map_err(|source| Error::UnreadableSnapshot { source })
}

impl Snapshot {
    /// Whether the transaction was finished: whether its rows are there, if it committed. Right for transactions that
    /// are at most 2³¹ older or younger than the snapshot, which all are that still stream.
    #[must_use]
    pub fn sees(&self, xid: Xid) -> bool {
        let [.., a, b, c, d] = self.xmax.to_be_bytes();
        let ahead = xid
            .get()
            .wrapping_sub(u32::from_be_bytes([a, b, c, d]))
            .cast_signed();
        if ahead >= 0 {
            return false;
        }
        let full = self.xmax.wrapping_add_signed(i64::from(ahead));
        full < self.xmin || self.running.binary_search(&full).is_err()
    }

    /// The first transaction that had not begun.
    pub(crate) fn xmax(&self) -> u64 {
        self.xmax
    }

    /// Those that had begun and were not finished, in order.
    pub(crate) fn running(&self) -> &[u64] {
        &self.running
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (index, xid) in self.running.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{xid}")?;
        }
        Ok(())
    }
}

impl FromStr for Snapshot {
    type Err = InvalidSnapshot;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| InvalidSnapshot {
            text: text.chars().take(64).collect(),
        })
    }
}

fn parse(text: &str) -> Option<Snapshot> {
    let (xmin, rest) = text.split_once(':')?;
    let (xmax, list) = rest.split_once(':')?;
    let (xmin, xmax) = (number(xmin)?, number(xmax)?);
    // A slot's exported snapshot may have the end before the beginning; PostgreSQL asks for the beginning first.
    let xmax = xmax.max(xmin);
    let running: Vec<u64> = match list {
        "" => Vec::new(),
        list => list.split(',').map(number).collect::<Option<_>>()?,
    };
    let in_order = running.is_sorted_by(|before, after| before < after);
    let inside = running.iter().all(|xid| (xmin..xmax).contains(xid));
    // A transaction id of more than 63 bits is millennia away, and SQL's bigint could not hold it.
    let valid = i64::try_from(xmax).is_ok() && in_order && inside;
    valid.then_some(Snapshot {
        xmin,
        xmax,
        running,
    })
}

/// Digits only; Rust's own parser takes a sign too.
fn number(digits: &str) -> Option<u64> {
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().unwrap()
    }

    #[test]
    fn its_text_is_postgresql_s() {
        for text in ["10:20:10,14,15", "10:10:", "3:9223372036854775807:"] {
            assert_eq!(snapshot(text).to_string(), text);
        }
    }

    #[test]
    fn an_end_before_the_beginning_is_the_beginning() {
        assert_eq!(snapshot("110603:110602:"), snapshot("110603:110603:"));
        assert!(snapshot("110603:110602:").sees(Xid(110_602)));
    }

    #[test]
    fn refuses_what_is_no_snapshot() {
        for text in [
            "",
            "10",
            "10:20",
            "10:20:9",
            "10:20:20",
            "10:20:15,14",
            "10:20:14,14",
            "10:20:14,",
            "-1:20:",
            "10:+20:",
            "1:9223372036854775808:",
            "10:20:11 ",
        ] {
            assert!(text.parse::<Snapshot>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn sees_what_was_finished() {
        let snapshot = snapshot("10:20:10,14");
        let seen: Vec<u32> = (3..30).filter(|&xid| snapshot.sees(Xid(xid))).collect();
        let finished = [
            &[3, 4, 5, 6, 7, 8, 9][..],
            &[11, 12, 13, 15, 16, 17, 18, 19],
        ]
        .concat();
        assert_eq!(seen, finished);
    }

    #[test]
    fn sees_across_the_wrap_of_32_bits() {
        // 2³² + 5 is number 5 of its round; 2³² - 2 is of the round before.
        let snapshot = snapshot("4294967294:4294967301:4294967294,4294967299");
        for (xid, seen) in [
            (u32::MAX - 2, true),
            (u32::MAX - 1, false),
            (u32::MAX, true),
            (3, false),
            (4, true),
            (5, false),
            (6, false),
            (2_147_483_000, false),
            (2_147_484_000, true),
        ] {
            assert_eq!(snapshot.sees(Xid(xid)), seen, "{xid}");
        }
    }
}
