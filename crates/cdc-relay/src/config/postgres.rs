//! Section `[postgres]`.

use pg_replication::ConnectOptions;
use serde::{Deserialize, Deserializer, de};

use super::value::text;

/// What `pg_stat_activity` and `pg_stat_replication` show, unless the URL has an `application_name`.
const APPLICATION_NAME: &str = "cdc-relay";

/// Where the outbox and the stores are.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PostgresConfig {
    /// Its `Debug` and its errors do not show the password.
    #[serde(deserialize_with = "text")]
    url: ConnectOptions,
    /// `None`: the stores are where the outbox is.
    #[serde(deserialize_with = "url_or_none")]
    store_url: Option<ConnectOptions>,
    /// The name of the setting that `url` comes from.
    #[serde(skip, default = "outbox_setting")]
    setting: &'static str,
}

impl PostgresConfig {
    /// For both kinds of session.
    pub(crate) fn options(&self) -> ConnectOptions {
        self.url.clone().with_application_name(APPLICATION_NAME)
    }

    /// The full key of the setting that [`options`](Self::options) come from.
    pub(crate) fn setting(&self) -> &'static str {
        self.setting
    }

    /// True when the stores have a connection string of their own.
    pub(crate) fn has_store_url(&self) -> bool {
        self.store_url.is_some()
    }

    /// The same with the stores' database in place of the outbox's.
    pub(super) fn at_store(&self) -> Self {
        match &self.store_url {
            Some(store) => Self {
                url: store.clone(),
                store_url: Some(store.clone()),
                setting: "postgres.store_url",
            },
            None => self.clone(),
        }
    }
}

fn outbox_setting() -> &'static str {
    "postgres.url"
}

/// An empty text is no connection string.
fn url_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ConnectOptions>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        Ok(None)
    } else {
        text.parse().map(Some).map_err(de::Error::custom)
    }
}
