//! What is done about a failed event.

use std::fmt;
use std::str::FromStr;

/// What is done about a failed event: open → replaying → replayed or open again; open → discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nothing yet.
    Open,
    /// Somebody sends it again; counts as open once the lease has ended.
    Replaying,
    /// It was sent again and acknowledged.
    Replayed,
    /// Somebody gave it up.
    Discarded,
}

/// The text is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a status; it is one of open, replaying, replayed and discarded")]
pub struct UnknownStatus(String);

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Replaying, Self::Replayed, Self::Discarded];

    /// As the table has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replaying => "replaying",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.chars().take(64).collect()))
    }
}
