//! Other sessions that matter: who streams from the slot, and who holds it back.

use serde::Serialize;

use super::{Database, value};
use crate::config::Config;
use crate::failure::{Context, Failure};

/// The session that streams from a slot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Holder {
    /// Its server process.
    pub(crate) pid: i32,
    /// What it calls itself; unknown to roles without `pg_read_all_stats`.
    pub(crate) application_name: Option<String>,
    /// Where it comes from; `None` for a Unix socket too.
    pub(crate) client_addr: Option<String>,
}

/// A transaction that a new slot waits for, or that keeps a slot's log from being removed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Blocker {
    /// Its server process; `None` for a prepared transaction.
    pub(crate) pid: Option<i32>,
    /// For how long it has been open.
    pub(crate) age_seconds: f64,
    /// `active`, `idle in transaction`, `prepared` …
    pub(crate) state: String,
    /// What it calls itself, or the name of the prepared transaction.
    pub(crate) name: String,
}

/// Only transactions that have written matter to a slot: those without an identifier are left out.
const WRITING_TRANSACTIONS: &str = "
    SELECT pid, extract(epoch FROM now() - xact_start)::float8 AS age,
           coalesce(state, 'unknown') AS state, coalesce(application_name, '') AS name
      FROM pg_catalog.pg_stat_activity
     WHERE backend_xid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
    UNION ALL
    SELECT NULL, extract(epoch FROM now() - prepared)::float8, 'prepared', gid
      FROM pg_catalog.pg_prepared_xacts
     ORDER BY age DESC NULLS LAST";

impl Database {
    /// Transactions of the whole server that have written and are still open, the oldest first.
    pub(crate) async fn writing_transactions(
        &self,
        config: &Config,
    ) -> Result<Vec<Blocker>, Failure> {
        let context = Context::new(config, "look at open transactions");
        let rows = self.rows(WRITING_TRANSACTIONS, &[], context).await?;
        rows.iter()
            .map(|row| {
                Ok(Blocker {
                    pid: value(row, "pid")?,
                    age_seconds: value::<Option<f64>>(row, "age")?.unwrap_or_default(),
                    state: value(row, "state")?,
                    name: value(row, "name")?,
                })
            })
            .collect()
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {}", self.pid)?;
        if let Some(name) = self
            .application_name
            .as_deref()
            .filter(|name| !name.is_empty())
        {
            write!(f, ", {name:?}")?;
        }
        match &self.client_addr {
            Some(address) => write!(f, ", from {address}"),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {pid}")?,
            None => f.write_str("a prepared transaction")?,
        }
        if !self.name.is_empty() {
            write!(f, " {:?}", self.name)?;
        }
        write!(f, " ({}, open for {:.0} s)", self.state, self.age_seconds)
    }
}
