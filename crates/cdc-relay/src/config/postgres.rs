//! Section `[postgres]`.

use pg_replication::ConnectOptions;
use serde::Deserialize;

use super::value::text;

/// What `pg_stat_activity` and `pg_stat_replication` show, unless the URL has an `application_name`.
const APPLICATION_NAME: &str = "cdc-relay";

/// Where the outbox is.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PostgresConfig {
    /// Its `Debug` and its errors do not show the password.
    #[serde(deserialize_with = "text")]
    url: ConnectOptions,
}

impl PostgresConfig {
    /// For both kinds of session.
    pub(crate) fn options(&self) -> ConnectOptions {
        self.url.clone().with_application_name(APPLICATION_NAME)
    }
}
