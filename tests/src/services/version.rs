//! Which PostgreSQL: the installed one, or another major.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use super::settings::{Settings, checkout};

/// A version of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The one that the shared server has.
    Shared,
    /// A major that `scripts/versions.env` pins.
    Major(u16),
}

/// Set to `1` to pass tests that need a [`Version::Major`] over, where it cannot be had.
const SKIP: &str = "SKIP_POSTGRES_VERSIONS";

impl Version {
    /// Whether the caller of the tests does without this version; says so.
    #[expect(
        clippy::print_stderr,
        reason = "a test that shows nothing should say so"
    )]
    pub fn is_skipped(self) -> bool {
        let skipped = self != Self::Shared && std::env::var(SKIP).is_ok_and(|value| value == "1");
        if skipped {
            eprintln!("not tested with {self:?}: {SKIP} is set");
        }
        skipped
    }

    /// The folder with `initdb`, `pg_ctl` and `postgres`; fetches them where needed. Blocks.
    ///
    /// # Errors
    /// Fails if they cannot be had; the error has what `scripts/postgres-version` said, and how to do without.
    pub(super) fn programs(self) -> Result<PathBuf> {
        let Self::Major(major) = self else {
            return Ok(Settings::shared_value("PG_BIN")?.into());
        };
        let fetched = Command::new(checkout().join("scripts/postgres-version"))
            .arg(major.to_string())
            .stdin(Stdio::null())
            .output()?;
        ensure!(
            fetched.status.success(),
            "no PostgreSQL {major}; set {SKIP}=1 to do without\n{}",
            String::from_utf8_lossy(&fetched.stderr)
        );
        Ok(String::from_utf8(fetched.stdout)?.trim().into())
    }
}
