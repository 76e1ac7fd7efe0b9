//! The guarantees that a relay can be started with.

use std::fmt;

/// The setting `relay.delivery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// A consumer of committed records sees every event once. The product's default, and therefore the tests'.
    #[default]
    ExactlyOnce,
    /// After a crash, the last events may come again.
    AtLeastOnce,
}

impl Delivery {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::ExactlyOnce, Self::AtLeastOnce];

    /// As written in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly_once",
            Self::AtLeastOnce => "at_least_once",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
