//! Section `[postgres]`.

use std::fmt;

use pg_replication::ConnectOptions;
use serde::Deserialize;

use super::Invalid;

/// Where the outbox is.
#[derive(Clone, Deserialize)]
pub(crate) struct PostgresConfig {
    /// A libpq URL or `key=value` string, for both kinds of session. May hold a password.
    pub(crate) url: String,
}

impl PostgresConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if self.url.trim().is_empty() {
            return Err(Invalid::missing(
                "postgres.url",
                "name the database, such as postgres://relay@localhost/app",
            ));
        }
        // The error names the parameter and never its value, which may be the password.
        self.url
            .parse::<ConnectOptions>()
            .map(drop)
            .map_err(|error| Invalid::new("postgres.url", format!("be a connection string: {error}")))
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig").finish_non_exhaustive()
    }
}
