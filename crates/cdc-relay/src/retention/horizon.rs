//! Up to where rows are confirmed.

use crate::config::Config;
use crate::database::{Database, value};
use crate::failure::{Context, Failure};

/// A transaction identifier: every committed row whose `xmin` is older was confirmed by every slot of this relay, or was
/// there before the slot was made.
///
/// Why that holds: the horizon is the slots' oldest `catalog_xmin`. PostgreSQL moves it only while it decodes a
/// running-transactions record (`SnapBuildProcessRunningXacts`), to the oldest transaction that was running when the
/// record was written, and only once the client has confirmed a position behind that record
/// (`LogicalConfirmReceivedLocation`). Every older transaction had ended before the record, prepared ones included, so
/// its commit is before the confirmed position. A row of a subtransaction carries an identifier that is younger than its
/// parent's, so it is covered too. The first `catalog_xmin` of a slot is taken before its consistent point, behind which
/// the stream begins. It never moves back, so a horizon stays true however long ago it was read.
///
/// Comparison is by `age()`: unconfirmed rows have an `xmin` between the horizon and the newest transaction, a range that
/// PostgreSQL keeps below 2^31, so no wrap-around can make one look older than the horizon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Horizon(String);

/// A slot that nobody streams from may have been made anew, with a gap before it that is still to be filled from the
/// table: it gives no horizon.
const HORIZON: &str = "
    SELECT catalog_xmin::text AS horizon, count(*) OVER () AS slots
      FROM pg_catalog.pg_replication_slots
     WHERE slot_name = ANY ($1::text[]::name[]) AND database = pg_catalog.current_database()
       AND active AND catalog_xmin IS NOT NULL
     ORDER BY pg_catalog.age(catalog_xmin) DESC
     LIMIT 1";

impl Horizon {
    /// Reads it; `None` unless somebody streams from every configured slot.
    pub(super) async fn read(
        database: &Database,
        config: &Config,
    ) -> Result<Option<Self>, Failure> {
        let context = Context::new(config, "look how far the slots are confirmed");
        let shards = config.shards();
        let slots: Vec<&str> = shards
            .iter()
            .map(|shard| shard.relay.slot.as_str())
            .collect();
        let Some(row) = database.row(HORIZON, &[&slots.as_slice()], context).await? else {
            return Ok(None);
        };
        let found: i64 = value(&row, "slots")?;
        if usize::try_from(found) != Ok(slots.len()) {
            return Ok(None);
        }
        Ok(Some(Self(value(&row, "horizon")?)))
    }

    /// The identifier as PostgreSQL writes it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
