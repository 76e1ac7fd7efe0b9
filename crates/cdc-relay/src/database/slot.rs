//! The replication slot as the server has it.

use serde::Serialize;

use super::{Database, Holder, value};
use crate::config::Config;
use crate::failure::{Context, Failure};
use crate::shard::Shard;

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
    /// Why it was invalidated; `None` if it was not, or the server is older than 17.
    pub(crate) invalidation_reason: Option<String>,
    /// For how long nobody has streamed from it; `None` if somebody does, or the server is older than 17.
    pub(crate) inactive_seconds: Option<f64>,
    /// True when standbys are to keep a copy; `None` on servers older than 17.
    pub(crate) failover: Option<bool>,
    /// True for a standby's copy of a slot; `None` on servers older than 17.
    pub(crate) synced: Option<bool>,
    /// True when it decodes prepared transactions before they are committed.
    pub(crate) two_phase: bool,
    /// How long the newest confirmation took to come; `None` if nobody streams or nothing was sent lately.
    pub(crate) confirmation_seconds: Option<f64>,
    /// Where the log ends, in bytes since its beginning.
    #[serde(skip)]
    pub(crate) wal_end: i64,
    /// What is confirmed, in bytes since the log's beginning.
    #[serde(skip)]
    pub(crate) confirmed_end: Option<i64>,
}

/// Columns that only newer servers have are read through JSON.
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
           wal_status, safe_wal_size AS safe, two_phase,
           pg_catalog.to_jsonb(slot) ->> 'invalidation_reason' AS invalidation_reason,
           extract(epoch FROM pg_catalog.clock_timestamp()
                   - (pg_catalog.to_jsonb(slot) ->> 'inactive_since')::timestamptz)::float8 AS inactive,
           (pg_catalog.to_jsonb(slot) ->> 'failover')::boolean AS failover,
           (pg_catalog.to_jsonb(slot) ->> 'synced')::boolean AS synced,
           extract(epoch FROM sender.flush_lag)::float8 AS confirmation,
           pg_catalog.pg_wal_lsn_diff(log.ends, '0/0')::bigint AS wal_end,
           pg_catalog.pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::bigint AS confirmed_end
      FROM log, pg_catalog.pg_replication_slots slot
      LEFT JOIN pg_catalog.pg_stat_activity activity ON activity.pid = active_pid
      LEFT JOIN pg_catalog.pg_stat_replication sender ON sender.pid = active_pid
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
            invalidation_reason: value(&row, "invalidation_reason")?,
            inactive_seconds: value(&row, "inactive")?,
            failover: value(&row, "failover")?,
            synced: value(&row, "synced")?,
            two_phase: value(&row, "two_phase")?,
            confirmation_seconds: value(&row, "confirmation")?,
            wal_end: value::<Option<i64>>(&row, "wal_end")?.unwrap_or_default(),
            confirmed_end: value(&row, "confirmed_end")?,
        }))
    }
}

/// Names without a slot that somebody streams from.
const IDLE: &str = "
    SELECT name FROM unnest($1::text[]) AS name
     WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_replication_slots WHERE slot_name = name AND active)";

impl Database {
    /// Those of `names` that are no slot, or a slot that nobody streams from.
    pub(crate) async fn idle_slots(
        &self,
        names: &[&str],
        config: &Config,
    ) -> Result<Vec<String>, Failure> {
        let context = Context::new(config, "look at the standbys' slots");
        let rows = self.rows(IDLE, &[&names], context).await?;
        rows.iter().map(|row| value(row, "name")).collect()
    }
}

/// Slots whose names may be those of shards.
const SHARDS: &str = "
    SELECT slot_name::text AS name FROM pg_catalog.pg_replication_slots
     WHERE database = pg_catalog.current_database() AND pg_catalog.starts_with(slot_name::text, $1::text)
     ORDER BY slot_name";

impl Database {
    /// The slots of this outbox, whatever the number of shards, each with the shard that it is of.
    pub(crate) async fn shard_slots(
        &self,
        config: &Config,
    ) -> Result<Vec<(String, Shard)>, Failure> {
        let context = Context::new(config, "look for the slots of other shards");
        let base = config.relay.base_slot();
        let rows = self.rows(SHARDS, &[&base], context).await?;
        let names: Result<Vec<String>, _> = rows.iter().map(|row| value(row, "name")).collect();
        let shard = |name: String| Shard::of_name(&name, base).map(|shard| (name, shard));
        Ok(names?.into_iter().filter_map(shard).collect())
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
        if self.two_phase {
            return Some(
                "was made with two_phase: prepared transactions would come before they are committed"
                    .to_owned(),
            );
        }
        None
    }

    /// True when PostgreSQL has removed log that the slot needs, or has invalidated it for another reason.
    pub(crate) fn is_lost(&self) -> bool {
        self.wal_status.as_deref() == Some("lost") || self.invalidation_reason.is_some()
    }
}
