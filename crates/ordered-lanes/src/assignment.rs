//! A partition that a consumer has, and since when.

use std::fmt;

/// A partition as it was assigned to a consumer of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition, from 0.
    pub partition: i32,
    /// How many partitions the topic has. When it has got more, keys may have moved: lanes that were filled at
    /// another number are loaded whatever partition they were filled from.
    pub partition_count: i32,
}

/// How often a partition was assigned; the newest one owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(i64);

/// The right to put records of a partition into lanes, until somebody else gets the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The partition.
    pub assignment: Assignment,
    /// Whose right it is.
    pub epoch: Epoch,
}

impl Epoch {
    /// The epoch of this number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}[{}] of group {:?}",
            self.topic, self.partition, self.group
        )
    }
}
