//! Where a scan stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a row is in a table's file: `(block,offset)`, PostgreSQL's `ctid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TupleId {
    /// The block, from 0.
    pub block: u32,
    /// The row's number in the block, from 1.
    pub offset: u16,
}

/// A row that a scan has reached: a scan that is opened with it goes on behind it.
///
/// Its text (also for serde) is `table.file/(block,offset)`, as `16384.16390/(12,3)`. Positions are ordered as scans go:
/// by table, then by place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScanPosition {
    /// The OID of the table, or of the partition.
    relation: u32,
    /// The file that the place is in (`pg_relation_filenode`). When the table was written anew, as by `VACUUM FULL`, it
    /// has another, and the place means nothing.
    file: u32,
    tuple: TupleId,
}

/// The text is not a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a position of a scan: {text:?} (expected a form such as 16384.16390/(12,3))")]
pub struct InvalidPosition {
    text: String,
}

impl ScanPosition {
    /// From its parts.
    #[must_use]
    pub const fn new(relation: u32, file: u32, tuple: TupleId) -> Self {
        Self {
            relation,
            file,
            tuple,
        }
    }

    /// The OID of the table, or of the partition.
    #[must_use]
    pub const fn relation(&self) -> u32 {
        self.relation
    }

    /// The table's file.
    #[must_use]
    pub const fn file(&self) -> u32 {
        self.file
    }

    /// The place in the file.
    #[must_use]
    pub const fn tuple(&self) -> TupleId {
        self.tuple
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
        write!(f, "{}.{}/{}", self.relation, self.file, self.tuple)
    }
}

impl FromStr for ScanPosition {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (table, tuple) = text.split_once('/')?;
            let (relation, file) = table.split_once('.')?;
            Some(Self {
                relation: number(relation)?,
                file: number(file)?,
                tuple: tuple.parse().ok()?,
            })
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
        for text in ["16384.16390/(12,3)", "4294967295.0/(4294967295,65535)"] {
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
        assert!(position("9.9/(9,9)") < position("10.1/(1,1)"));
        assert!(position("9.9/(9,9)") < position("9.9/(10,1)"));
        assert!(position("9.9/(9,9)") < position("9.9/(9,10)"));
    }

    #[test]
    fn refuses_what_is_no_position() {
        for text in [
            "",
            "1/(1,1)",
            "1.1/1,1",
            "1.1/(1)",
            "1.1/(1,65536)",
            "1.1/(-1,1)",
            "1.1/(+1,1)",
            "1.1/(1,1) ",
            "a.1/(1,1)",
            "4294967296.1/(1,1)",
        ] {
            assert!(text.parse::<ScanPosition>().is_err(), "{text:?}");
        }
    }
}
