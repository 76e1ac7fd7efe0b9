//! The two numbers that must not be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct UserId(pub(crate) i64);

/// Which coupon it is, from 1: the user with number 1 was the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sequence(pub(crate) i32);

impl UserId {
    /// Whether this is one of those at whom the service can be told to fail.
    pub(crate) const fn is_odd(self) -> bool {
        self.0 % 2 != 0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
