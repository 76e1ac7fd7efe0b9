//! Where a scan stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a row is in a table's file: `(block,offset)`, PostgreSQL's `ctid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TupleId {
    /// The block, from 0.
    pub(crate) block: u32,
    /// The row's number in the block, from 1.
    pub(crate) offset: u16,
}

/// When a row was written, as far as the row itself tells: scans go by it.
///
/// It is the order of commits for transactions of which one began to write after the other had ended, and for all
/// statements of a transaction. Transactions that ran at the same time come in the order in which they began to write,
/// and a savepoint's rows after those of the transaction around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Written {
    /// The id of the transaction with all of its 64 bits; 0 for rows from before ids were kept.
    pub(crate) transaction: u64,
    /// Which command of the transaction wrote it (`cmin`), unless somebody has tried to remove it since.
    pub(crate) command: u32,
    /// Tells rows of one command apart.
    pub(crate) place: TupleId,
}

/// A row that a scan has reached: a scan that is opened with it goes on behind it.
///
/// Its text (also for serde) is `table.file/transaction.command(block,offset)`, as `16384.16390/754.0(12,3)`. Positions
/// are ordered as scans go: by table, then by when the row was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScanPosition {
    /// The OID of the table, or of the partition.
    relation: u32,
    /// The file that the place is in (`pg_relation_filenode`). When the table was written anew, as by `VACUUM FULL`, it
    /// has another, and the place means nothing.
    file: u32,
    written: Written,
}

/// The text is not a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a position of a scan: {text:?} (expected a form such as 16384.16390/754.0(12,3))")]
pub struct InvalidPosition {
    text: String,
}

impl ScanPosition {
    pub(crate) const fn new(relation: u32, file: u32, written: Written) -> Self {
        Self {
            relation,
            file,
            written,
        }
    }

    /// The OID of the table, or of the partition.
    #[must_use]
    pub const fn relation(&self) -> u32 {
        self.relation
    }

    pub(crate) const fn file(&self) -> u32 {
        self.file
    }

    pub(crate) const fn written(&self) -> Written {
        self.written
    }
}

impl fmt::Display for TupleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.block, self.offset)
    }
}

impl FromStr for TupleId {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let inside = text.strip_prefix('(')?.strip_suffix(')')?;
            let (block, offset) = inside.split_once(',')?;
            Some(Self {
                block: number(block)?,
                offset: number(offset)?,
            })
        };
        parse().ok_or_else(|| InvalidPosition::of(text))
    }
}

impl fmt::Display for ScanPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written {
            transaction,
            command,
            place,
        } = self.written;
        let (relation, file) = (self.relation, self.file);
        write!(f, "{relation}.{file}/{transaction}.{command}{place}")
    }
}

impl FromStr for ScanPosition {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (table, written) = text.split_once('/')?;
            let (relation, file) = table.split_once('.')?;
            let (command, place) = written.split_at(written.find('(')?);
            let (transaction, command) = command.split_once('.')?;
            let written = Written {
                transaction: number(transaction)?,
                command: number(command)?,
                place: place.parse().ok()?,
            };
            Some(Self::new(number(relation)?, number(file)?, written))
        };
        parse().ok_or_else(|| InvalidPosition::of(text))
    }
}

impl TryFrom<String> for ScanPosition {
    type Error = InvalidPosition;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ScanPosition> for String {
    fn from(position: ScanPosition) -> Self {
        position.to_string()
    }
}

impl InvalidPosition {
    fn of(text: &str) -> Self {
        Self {
            text: text.chars().take(64).collect(),
        }
    }
}

/// Digits only; Rust's own parser takes a sign too.
fn number<T: FromStr>(digits: &str) -> Option<T> {
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> ScanPosition {
        text.parse().unwrap()
    }

    #[test]
    fn its_text_says_everything() {
        for text in [
            "16384.16390/754.2(12,3)",
            "4294967295.0/18446744073709551615.4294967295(4294967295,65535)",
        ] {
            assert_eq!(position(text).to_string(), text);
            let json = serde_json::to_string(&position(text)).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<ScanPosition>(&json).unwrap(),
                position(text)
            );
        }
    }

    #[test]
    fn is_ordered_as_a_table_is_read() {
        for (before, after) in [
            ("9.9/9.9(9,9)", "10.1/1.1(1,1)"),
            ("9.9/9.9(9,9)", "9.9/10.1(1,1)"),
            ("9.9/9.9(9,9)", "9.9/9.10(1,1)"),
            ("9.9/9.9(9,9)", "9.9/9.9(10,1)"),
            ("9.9/9.9(9,9)", "9.9/9.9(9,10)"),
        ] {
            assert!(position(before) < position(after), "{before} {after}");
        }
    }

    #[test]
    fn refuses_what_is_no_position() {
        for text in [
            "",
            "1/1.1(1,1)",
            "1.1/(1,1)",
            "1.1/1(1,1)",
            "1.1/1.1",
            "1.1/1.1,1",
            "1.1/1.1(1)",
            "1.1/1.1(1,65536)",
            "1.1/1.1(-1,1)",
            "1.1/1.1(+1,1)",
            "1.1/1.1(1,1) ",
            "1.1/+1.1(1,1)",
            "1.1/18446744073709551616.1(1,1)",
            "a.1/1.1(1,1)",
            "4294967296.1/1.1(1,1)",
        ] {
            assert!(text.parse::<ScanPosition>().is_err(), "{text:?}");
        }
    }
}
