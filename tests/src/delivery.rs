//! The guarantees that a relay can be started with.

use std::fmt;

use anyhow::{Result, bail};

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
        let Some(name) = std::env::var_os(OF_RUN).filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let found = Self::ALL.into_iter().find(|mode| name == mode.name());
        let Some(found) = found else {
            bail!("{OF_RUN}={}: no such guarantee", name.display());
        };
        Ok(found)
    }

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
