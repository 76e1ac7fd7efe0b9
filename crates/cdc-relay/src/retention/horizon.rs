//! Up to where rows are confirmed.

use std::time::Duration;

use tokio::time::sleep;

use crate::config::Config;
use crate::database::{Database, value};
use crate::failure::{Context, Failure};

/// Between two looks at the slots.
const PAUSE: Duration = Duration::from_millis(500);

/// A transaction identifier: every committed row whose `xmin` is older was confirmed by every slot of this relay, or was
/// there before the slot was made.
///
/// Why that holds: it is the oldest transaction that was running at some moment. Every older one had ended by then, and a
/// prepared one counts as running, so their commits are before the end of the log as it was read after that moment; and
/// the horizon is given out only when every slot is confirmed up to there. A row of a subtransaction carries an
/// identifier that is younger than its parent's, so it is covered too. It stays true however long ago it was read, as
/// long as the server is the same: use it in the session that read it.
///
/// The slots' `catalog_xmin` would be as safe, and often much older: while any transaction that writes is open, in any
/// database, PostgreSQL keeps it where it was when the catalogues last changed before (`ReorderBufferGetOldestXmin`).
///
/// Comparison is by `age()`: unconfirmed rows have an `xmin` between the horizon and the newest transaction, a range that
/// PostgreSQL keeps below 2^31, so no wrap-around can make one look older than the horizon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Horizon(String);

/// The snapshot is taken before the statement runs, so the end of the log is read after it. Not the flushed end: an
/// asynchronous commit may be behind that.
const MOMENT: &str = "
    SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.xid::text AS oldest,
           pg_catalog.pg_current_wal_insert_lsn()::text AS log_end";

/// A slot that nobody streams from may have been made anew, with a gap before it that is still to be filled from the
/// table: it counts as missing.
const CONFIRMED: &str = "
    SELECT count(*) AS slots, COALESCE(bool_and(confirmed_flush_lsn >= $2::text::pg_lsn), FALSE) AS all_are
      FROM pg_catalog.pg_replication_slots
     WHERE slot_name = ANY ($1::text[]::name[]) AND database = pg_catalog.current_database() AND active";

impl Horizon {
    /// The horizon of now, once the slots are confirmed up to it, however long that takes; `None` when somebody stops
    /// to stream from one of them, or `is_active` ends.
    ///
    /// Cancellation safe.
    pub(super) async fn reach(
        database: &Database,
        config: &Config,
        is_active: impl Fn() -> bool,
    ) -> Result<Option<Self>, Failure> {
        let context = Context::new(config, "look how far the slots are confirmed");
        let shards = config.shards();
        let slots: Vec<&str> = shards
            .iter()
            .map(|shard| shard.relay.slot.as_str())
            .collect();
        let Some(moment) = database.row(MOMENT, &[], context).await? else {
            return Ok(None);
        };
        let log_end: String = value(&moment, "log_end")?;
        let horizon = Self(value(&moment, "oldest")?);
        while is_active() {
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                [&slots.as_slice(), &log_end];
            let Some(row) = database.row(CONFIRMED, &parameters, context).await? else {
                return Ok(None);
            };
            if usize::try_from(value::<i64>(&row, "slots")?) != Ok(slots.len()) {
                return Ok(None);
            }
            if value(&row, "all_are")? {
                return Ok(Some(horizon));
            }
            sleep(PAUSE).await;
        }
        Ok(None)
    }

    /// The identifier as PostgreSQL writes it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
