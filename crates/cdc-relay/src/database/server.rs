//! The server's settings, and the role's attributes.

use super::{Database, value};
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};

/// Oldest major version that is supported: it has publications with column lists and schemas.
pub(crate) const OLDEST_MAJOR: i32 = 15;

/// Settings that decide whether and how well logical replication works.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServerFacts {
    /// As in `server_version_num`, such as 150018.
    pub(crate) version: i32,
    /// As the server writes it.
    pub(crate) version_text: String,
    /// Must be `logical`.
    pub(crate) wal_level: String,
    /// How many slots there may be, and are.
    pub(crate) slots: (i32, i32),
    /// How many walsenders there may be, and are.
    pub(crate) senders: (i32, i32),
    /// Milliseconds; 0 turns it off.
    pub(crate) wal_sender_timeout_ms: i64,
    /// Log that a slot may keep, in MiB; -1 for any amount.
    pub(crate) max_slot_wal_keep_mib: i64,
    /// Seconds after which a slot that nobody uses is invalidated, 0 for never; `None` on servers older than 18.
    pub(crate) idle_slot_timeout_seconds: Option<i64>,
    /// Slots of standbys that must have the log before the relay gets it; `None` on servers older than 17.
    pub(crate) synchronized_standby_slots: Option<String>,
    /// Physical standbys that are connected.
    pub(crate) standbys: i32,
    /// True on a standby.
    pub(crate) in_recovery: bool,
    /// The database's encoding.
    pub(crate) encoding: String,
}

/// What the role may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleFacts {
    /// Its name.
    pub(crate) name: String,
    /// Attribute REPLICATION, a superuser, or a member of the managed services' replication roles.
    pub(crate) may_replicate: bool,
    /// May create a schema and a publication in the database.
    pub(crate) may_create: bool,
    /// Sees whose sessions others are.
    pub(crate) sees_others: bool,
}

const SERVER: &str = "SELECT current_setting('server_version_num')::int AS version,
       current_setting('server_version') AS version_text,
       current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int AS max_slots,
       (SELECT count(*)::int FROM pg_catalog.pg_replication_slots) AS slots,
       current_setting('max_wal_senders')::int AS max_senders,
       (SELECT count(*)::int FROM pg_catalog.pg_stat_replication) AS senders,
       (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout') AS sender_timeout,
       (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep,
       (SELECT setting::bigint * CASE unit WHEN 'min' THEN 60 ELSE 1 END
          FROM pg_catalog.pg_settings WHERE name = 'idle_replication_slot_timeout') AS idle_timeout,
       pg_catalog.current_setting('synchronized_standby_slots', true) AS standby_slots,
       (SELECT count(*)::int FROM pg_catalog.pg_stat_replication
         WHERE pid NOT IN (SELECT active_pid FROM pg_catalog.pg_replication_slots
                            WHERE slot_type = 'logical' AND active_pid IS NOT NULL)
           AND state IN ('streaming', 'catchup')) AS standbys,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       current_setting('server_encoding') AS encoding";

const ROLE: &str = "SELECT rolname::text AS name,
       rolsuper OR rolreplication OR EXISTS (
           SELECT 1 FROM pg_catalog.pg_roles managed
            WHERE managed.rolname IN ('rds_replication', 'azure_pg_admin', 'cloudsqlsuperuser', 'alloydbsuperuser')
              AND pg_catalog.pg_has_role(managed.oid, 'MEMBER')
       ) AS may_replicate,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_create,
       pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS sees_others
  FROM pg_catalog.pg_roles WHERE rolname = current_user";

impl Database {
    /// The server's settings.
    pub(crate) async fn server(&self, config: &Config) -> Result<ServerFacts, Failure> {
        let context = Context::new(config, "read the server's settings");
        let row = self.row(SERVER, &[], context).await?;
        let row = row.ok_or_else(|| Failure::internal("the server's settings gave no row"))?;
        Ok(ServerFacts {
            version: value(&row, "version")?,
            version_text: value(&row, "version_text")?,
            wal_level: value(&row, "wal_level")?,
            slots: (value(&row, "max_slots")?, value(&row, "slots")?),
            senders: (value(&row, "max_senders")?, value(&row, "senders")?),
            wal_sender_timeout_ms: value(&row, "sender_timeout")?,
            max_slot_wal_keep_mib: value(&row, "keep")?,
            idle_slot_timeout_seconds: value(&row, "idle_timeout")?,
            synchronized_standby_slots: value(&row, "standby_slots")?,
            standbys: value(&row, "standbys")?,
            in_recovery: value(&row, "in_recovery")?,
            encoding: value(&row, "encoding")?,
        })
    }

    /// The attributes of the role of this session.
    pub(crate) async fn role(&self, config: &Config) -> Result<RoleFacts, Failure> {
        let context = Context::new(config, "read the role's attributes");
        let row = self.row(ROLE, &[], context).await?;
        let row =
            row.ok_or_else(|| Failure::internal("the role of the session is not in pg_roles"))?;
        Ok(RoleFacts {
            name: value(&row, "name")?,
            may_replicate: value(&row, "may_replicate")?,
            may_create: value(&row, "may_create")?,
            sees_others: value(&row, "sees_others")?,
        })
    }
}

impl ServerFacts {
    /// The major version, such as 15.
    pub(crate) fn major(&self) -> i32 {
        self.version / 10_000
    }

    /// The failure of a server that is not supported.
    pub(crate) fn too_old(&self) -> Option<Failure> {
        (self.major() < OLDEST_MAJOR).then(|| {
            Failure::new(
                ErrorCode::ServerVersion,
                format!(
                    "the server is PostgreSQL {}; {OLDEST_MAJOR} or newer is needed",
                    self.version_text
                ),
                "upgrade the server",
            )
        })
    }

    /// The failure of a server that writes too little log.
    pub(crate) fn wrong_wal_level(&self) -> Option<Failure> {
        (self.wal_level != "logical").then(|| {
            Failure::new(
                ErrorCode::WalLevel,
                format!("the server's wal_level is {:?}; logical decoding needs \"logical\"", self.wal_level),
                "ALTER SYSTEM SET wal_level = 'logical'; then restart PostgreSQL (a managed server has a setting of \
                 its own, such as rds.logical_replication)",
            )
        })
    }

    /// True when the server keeps a copy of a slot on standbys when asked.
    pub(crate) fn keeps_slots_on_standbys(&self) -> bool {
        self.major() >= 17
    }
}
