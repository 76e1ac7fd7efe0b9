//! The replication slot as the server has it.

use serde::Serialize;

use super::{Database, Holder, value};
use crate::config::Config;
use crate::failure::{Context, Failure};

/// A row of `pg_replication_slots`, with the distance to the end of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SlotState {
    /// Its name.
    pub(crate) name: String,
    /// The output plugin; `None` for a physical slot.
    pub(crate) plugin: Option<String>,
    /// `logical` or `physical`.
    pub(crate) kind: String,
    /// The database; `None` for a physical slot.
    pub(crate) database: Option<String>,
    /// True when it is of the database of this session.
    pub(crate) of_this_database: bool,
    /// Who streams from it.
    pub(crate) holder: Option<Holder>,
    /// Everything before is confirmed.
    pub(crate) confirmed_lsn: Option<String>,
    /// The log is kept from here on.
    pub(crate) restart_lsn: Option<String>,
    /// Log that is not confirmed.
    pub(crate) lag_bytes: Option<i64>,
    /// Log that the slot keeps from being removed.
    pub(crate) retained_bytes: Option<i64>,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub(crate) wal_status: Option<String>,
    /// How much more may be written before the slot is in danger; `None` without a limit.
    pub(crate) safe_bytes: Option<i64>,
}

const SLOT: &str = "
    WITH log AS (
        SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
                    ELSE pg_catalog.pg_current_wal_lsn() END AS ends
    )
    SELECT slot_name::text AS name, plugin::text AS plugin, slot_type AS kind, database::text AS database,
           coalesce(database = pg_catalog.current_database(), false) AS of_this_database,
           active_pid, activity.application_name AS application_name,
           pg_catalog.host(activity.client_addr) AS client_addr,
           confirmed_flush_lsn::text AS confirmed, restart_lsn::text AS restart,
           pg_catalog.pg_wal_lsn_diff(log.ends, confirmed_flush_lsn)::bigint AS lag,
           pg_catalog.pg_wal_lsn_diff(log.ends, restart_lsn)::bigint AS retained,
           wal_status, safe_wal_size AS safe
      FROM log, pg_catalog.pg_replication_slots
      LEFT JOIN pg_catalog.pg_stat_activity activity ON activity.pid = active_pid
     WHERE slot_name = $1::text::name";

impl Database {
    /// The configured slot; `None` when it does not exist.
    pub(crate) async fn slot(&self, config: &Config) -> Result<Option<SlotState>, Failure> {
        let context = Context::new(config, "look at the replication slot");
        let Some(row) = self
            .row(SLOT, &[&config.relay.slot.as_str()], context)
            .await?
        else {
            return Ok(None);
        };
        let holder = match value::<Option<i32>>(&row, "active_pid")? {
            Some(pid) => Some(Holder {
                pid,
                application_name: value(&row, "application_name")?,
                client_addr: value(&row, "client_addr")?,
            }),
            None => None,
        };
        Ok(Some(SlotState {
            name: value(&row, "name")?,
            plugin: value(&row, "plugin")?,
            kind: value(&row, "kind")?,
            database: value(&row, "database")?,
            of_this_database: value(&row, "of_this_database")?,
            holder,
            confirmed_lsn: value(&row, "confirmed")?,
            restart_lsn: value(&row, "restart")?,
            lag_bytes: value(&row, "lag")?,
            retained_bytes: value(&row, "retained")?,
            wal_status: value(&row, "wal_status")?,
            safe_bytes: value(&row, "safe")?,
        }))
    }
}

impl SlotState {
    /// Why the relay cannot stream from this slot, in words; `None` when it can.
    pub(crate) fn mismatch(&self) -> Option<String> {
        if self.kind != "logical" {
            return Some(format!("is a {} slot", self.kind));
        }
        if let Some(plugin) = self
            .plugin
            .as_deref()
            .filter(|plugin| *plugin != pg_replication::PLUGIN)
        {
            return Some(format!(
                "uses the output plugin {plugin:?} instead of \"pgoutput\""
            ));
        }
        if !self.of_this_database {
            let database = self.database.as_deref().unwrap_or_default();
            return Some(format!("belongs to the database {database:?}"));
        }
        None
    }

    /// True when PostgreSQL has removed log that the slot needs.
    pub(crate) fn is_lost(&self) -> bool {
        self.wal_status.as_deref() == Some("lost")
    }
}
