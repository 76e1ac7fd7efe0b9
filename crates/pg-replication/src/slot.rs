//! Logical replication slots: their names, and the commands that make and drop them.

mod name;

use pg_lsn::Lsn;

pub use self::name::{InvalidSlotName, SlotName};
use crate::error::Error;
use crate::identity::ServerVersion;
use crate::protocol_error::ProtocolError;
use crate::session::{Row, Session, quote_ident};

/// The output plugin that slots are made with.
pub const PLUGIN: &str = "pgoutput";

/// What happens to the snapshot that a new slot starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnapshotAction {
    /// It gets a name, by which other sessions can use it until this one runs its next command or ends.
    Export,
    /// The current transaction of this session uses it. It must be repeatable-read, without a query yet, and
    /// read-only (PostgreSQL 18 and newer insist).
    Use,
    /// It is thrown away.
    #[default]
    Nothing,
}

/// A slot to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSlot {
    /// The slot's name, unique in the cluster.
    pub name: SlotName,
    /// Whether the slot ends with this session.
    pub temporary: bool,
    /// Whether standbys keep a copy, to go on after a failover. PostgreSQL before 17 can't, nor can a temporary slot:
    /// [`CreatedSlot::failover`] then says no.
    pub failover: bool,
    /// What to do with its snapshot.
    pub snapshot: SnapshotAction,
}

/// A slot that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSlot {
    /// The slot's name.
    pub name: SlotName,
    /// Transactions that commit after this position are streamed; the snapshot shows those before.
    pub consistent_point: Lsn,
    /// The name for `SET TRANSACTION SNAPSHOT`, when it was exported.
    pub snapshot_name: Option<String>,
    /// The output plugin.
    pub plugin: String,
    /// Whether the server was asked to keep a copy on standbys.
    pub failover: bool,
}

impl Session {
    /// Makes a logical slot for `pgoutput`. Make the publication first: changes from before it can't be streamed,
    /// and the slot then fails at them for good.
    ///
    /// It waits for every transaction that is running, without a limit. When the future is dropped the server
    /// goes on making the slot: close the session to stop it.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] with 42710 when the slot is there already, 55000 when `wal_level` is not `logical`,
    /// 53400 when all slots are taken.
    pub async fn create_slot(&mut self, slot: &CreateSlot) -> Result<CreatedSlot, Error> {
        let failover = asks_for_failover(slot, self.server_version());
        let rows = self
            .simple_query(&create_command(slot, self.server_version()))
            .await?;
        let created = rows.first().and_then(|row| created(row, slot, failover));
        created.ok_or_else(|| {
            let expected = "CREATE_REPLICATION_SLOT's row";
            ProtocolError::UnexpectedMessage {
                found: "another row",
                expected,
            }
            .into()
        })
    }

    /// Drops a slot; the log that it held is free to go.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] with 42704 when there is none, 55006 while it is in use.
    pub async fn drop_slot(&mut self, name: &SlotName) -> Result<(), Error> {
        self.simple_query(&format!(
            "DROP_REPLICATION_SLOT {}",
            quote_ident(name.as_str())
        ))
        .await?;
        Ok(())
    }
}

/// The server refuses a copy of a slot that ends with its session.
fn asks_for_failover(slot: &CreateSlot, version: ServerVersion) -> bool {
    slot.failover && !slot.temporary && version.major() >= 17
}

fn created(row: &Row, slot: &CreateSlot, failover: bool) -> Option<CreatedSlot> {
    Some(CreatedSlot {
        name: slot.name.clone(),
        consistent_point: row.named("consistent_point")?.parse().ok()?,
        snapshot_name: row.named("snapshot_name").map(str::to_owned),
        plugin: row.named("output_plugin")?.to_owned(),
        failover,
    })
}

fn create_command(slot: &CreateSlot, version: ServerVersion) -> String {
    let temporary = if slot.temporary { " TEMPORARY" } else { "" };
    let head = format!(
        "CREATE_REPLICATION_SLOT {}{temporary} LOGICAL {PLUGIN}",
        quote_ident(slot.name.as_str())
    );
    if version.major() < 15 {
        return format!(
            "{head} {}",
            match slot.snapshot {
                SnapshotAction::Export => "EXPORT_SNAPSHOT",
                SnapshotAction::Use => "USE_SNAPSHOT",
                SnapshotAction::Nothing => "NOEXPORT_SNAPSHOT",
            }
        );
    }
    let snapshot = match slot.snapshot {
        SnapshotAction::Export => "export",
        SnapshotAction::Use => "use",
        SnapshotAction::Nothing => "nothing",
    };
    let failover = if asks_for_failover(slot, version) {
        ", FAILOVER true"
    } else {
        ""
    };
    format!("{head} (SNAPSHOT '{snapshot}'{failover})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_each_version_in_its_own_words() {
        let mut slot = CreateSlot {
            name: "relay".parse().unwrap(),
            temporary: false,
            failover: true,
            snapshot: SnapshotAction::Export,
        };
        let command =
            |slot: &CreateSlot, version| create_command(slot, ServerVersion::new(version));
        let head = "CREATE_REPLICATION_SLOT \"relay\" LOGICAL pgoutput";
        assert_eq!(command(&slot, 140_011), format!("{head} EXPORT_SNAPSHOT"));
        assert_eq!(
            command(&slot, 160_002),
            format!("{head} (SNAPSHOT 'export')")
        );
        assert_eq!(
            command(&slot, 170_000),
            format!("{head} (SNAPSHOT 'export', FAILOVER true)")
        );
        slot.temporary = true;
        slot.snapshot = SnapshotAction::Nothing;
        assert_eq!(
            command(&slot, 170_000),
            "CREATE_REPLICATION_SLOT \"relay\" TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')"
        );
    }
}
