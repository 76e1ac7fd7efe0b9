//! The replication slot. Making one waits for every transaction that has written and is still open.

use std::time::Duration;

use pg_replication::{PLUGIN, quote_literal};

use crate::config::{Config, Snapshot};
use crate::database::{Database, ServerFacts, SlotState};
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};
use crate::signals;
use crate::terminal::say;

/// After this long without a slot, and every time again, the transactions that hold it up are named.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// What `init` does about the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SlotPlan {
    /// It is there.
    Present,
    /// Makes it with this statement.
    Make(String),
    /// The relay makes it at its first start, to read the rows that are there already under the slot's snapshot.
    LeftToRelay,
}

impl SlotPlan {
    /// A new slot is kept on standbys too, where the server can.
    pub(super) fn new(exists: bool, config: &Config, server: &ServerFacts) -> Self {
        if exists {
            return Self::Present;
        }
        if relay_makes_slot(config) {
            return Self::LeftToRelay;
        }
        let name = quote_literal(config.relay.slot.as_str());
        let failover = if server.keeps_slots_on_standbys() {
            ", failover => true"
        } else {
            ""
        };
        Self::Make(format!(
            "SELECT lsn FROM pg_catalog.pg_create_logical_replication_slot({name}, '{PLUGIN}'{failover})"
        ))
    }

    /// The statement, if there is one to be run.
    pub(super) fn sql(&self) -> Option<&str> {
        match self {
            Self::Make(sql) => Some(sql),
            Self::Present | Self::LeftToRelay => None,
        }
    }
}

/// Whether the relay takes a snapshot, which only the session that makes the slot can.
fn relay_makes_slot(config: &Config) -> bool {
    config.relay.snapshot == Snapshot::Initial
}

/// Refuses a slot that is there and cannot be used.
pub(super) fn check(
    found: Option<&SlotState>,
    has_publication: bool,
    config: &Config,
) -> Result<(), Failure> {
    let Some(slot) = found else { return Ok(()) };
    let name = &slot.name;
    if let Some(mismatch) = slot.mismatch() {
        return Err(Failure::slot_foreign(name, &mismatch));
    }
    if slot.is_lost() {
        return Err(Failure::slot_lost(name));
    }
    if !has_publication {
        return Err(Failure::new(
            ErrorCode::PublicationAfterSlot,
            format!(
                "the slot {name:?} exists and the publication {:?} does not. A slot reads every change with the \
                 publications of that moment, so a publication that is made now does not serve changes from before, \
                 and streaming would fail at the first of them",
                config.relay.publication.as_str()
            ),
            format!(
                "if the slot may be given up with its position: SELECT pg_drop_replication_slot('{name}'); then run \
                 `init` again. Otherwise correct `relay.publication` or `relay.slot`"
            ),
        ));
    }
    Ok(())
}

/// Makes the slot, and reports what it waits for.
///
/// A signal cancels the statement in the server: otherwise the half-made slot would stay there, in use, until all
/// those transactions have ended.
pub(super) async fn apply(
    plan: &SlotPlan,
    database: &Database,
    config: &Config,
) -> Result<(), Failure> {
    let name = config.relay.slot.as_str();
    let sql = match plan {
        SlotPlan::Make(sql) => sql,
        SlotPlan::Present => {
            say(format!("already there  replication slot {name}"));
            return Ok(());
        }
        SlotPlan::LeftToRelay => {
            say(format!(
                "left alone     replication slot {name}: the relay makes it at its first start, with its snapshot"
            ));
            return Ok(());
        }
    };
    let context = Context::new(config, "create the replication slot");
    let pid = database
        .text("SELECT pg_catalog.pg_backend_pid()", context)
        .await?
        .unwrap_or_default();
    let creating = database.text(sql, context);
    tokio::pin!(creating);
    let lsn = tokio::select! {
        created = &mut creating => created?,
        failed = report(&pid, config) => return Err(failed),
        signalled = signals::first() => {
            signalled?;
            let watcher = Database::connect(config).await?;
            watcher.text(&format!("SELECT pg_catalog.pg_cancel_backend({pid})"), context).await?;
            creating.await?
        }
    };
    let lsn = lsn.unwrap_or_default();
    say(format!(
        "created        replication slot {name}; transactions that commit after {lsn} are relayed"
    ));
    Ok(())
}

/// Names, every now and then, the transactions that the slot waits for. Ends only by failing.
async fn report(pid: &str, config: &Config) -> Failure {
    tokio::time::sleep(REPORT_EVERY).await;
    let watcher = match Database::connect(config).await {
        Ok(watcher) => watcher,
        Err(failure) => return failure,
    };
    loop {
        match watcher.writing_transactions(config).await {
            Ok(open) => {
                for blocker in open
                    .iter()
                    .filter(|open| open.pid.is_none_or(|open| open.to_string() != pid))
                {
                    tracing::warn!(
                        "the slot waits for {blocker}; SELECT pg_terminate_backend(…) would end it"
                    );
                }
            }
            Err(failure) => return failure,
        }
        tokio::time::sleep(REPORT_EVERY).await;
    }
}
