//! The guarantees that a relay can be started with.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result};

/// Which guarantee the tests are about that don't name one, if not the default.
const OF_RUN: &str = "E2E_DELIVERY";

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

    /// The guarantee of those scenarios that don't choose one: that of the environment variable `E2E_DELIVERY`, else the
    /// default.
    ///
    /// # Errors
    /// Fails if the variable has another value than a guarantee's name.
    pub fn of_run() -> Result<Self> {
        match std::env::var(OF_RUN) {
            Ok(name) if !name.is_empty() => name.parse().context(OF_RUN),
            _ => Ok(Self::default()),
        }
    }

    /// As written in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly_once",
            Self::AtLeastOnce => "at_least_once",
        }
    }
}

impl FromStr for Delivery {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == name);
        found.with_context(|| format!("{name:?} is neither exactly_once nor at_least_once"))
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
