//! What `reshard` finds, and whether it may begin.

use pg_lsn::Lsn;

use super::relay;
use crate::config::Config;
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// How far an earlier run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// The old slots are what is relayed; new ones may be there, and nothing depends on them.
    Relayed,
    /// The new slots go on where the old ones have ended; these are being dropped.
    TakenOver,
}

impl Before {
    /// # Errors
    ///
    /// The slots are not as they should be, or somebody streams from one.
    pub(super) async fn look(
        database: &Database,
        old: &[Config],
        new: &[Config],
    ) -> Result<Self, Failure> {
        no_third_number(database, old, new).await?;
        nobody_streams(database, old).await?;
        nobody_streams(database, new).await?;
        let mut missing = None;
        for shard in old {
            if database.slot(shard).await?.is_none() {
                missing = Some(shard);
            }
        }
        let Some(missing) = missing else {
            for shard in old {
                has_read_its_tables(shard).await?;
            }
            return Ok(Self::Relayed);
        };
        for shard in new {
            if !has_taken_over(database, shard).await? {
                let name = &missing.relay.slot;
                return Err(Failure::new(
                    ErrorCode::SlotMissing,
                    format!(
                        "the replication slot {name:?} does not exist, and no new slot has taken over from it"
                    ),
                    "`relay.shards` must have the old number. If the slot was lost, let the relay deal with that first \
                     (`relay.on_gap`)",
                ));
            }
        }
        Ok(Self::TakenOver)
    }
}

async fn no_third_number(
    database: &Database,
    old: &[Config],
    new: &[Config],
) -> Result<(), Failure> {
    let Some(config) = old.first() else {
        return Ok(());
    };
    for (slot, shard) in database.shard_slots(config).await? {
        let is_known = |config: &Config| config.relay.slot.as_str() == slot;
        if !old.iter().chain(new).any(is_known) {
            let what = format!(
                "there is the slot {slot:?}, one of {} that share the outbox, which is neither the old number nor the new",
                shard.of()
            );
            return Err(Failure::other_shards(what, config.relay.shards, shard.of()));
        }
    }
    Ok(())
}

/// Refuses while a relay runs.
pub(super) async fn nobody_streams(database: &Database, shards: &[Config]) -> Result<(), Failure> {
    for shard in shards {
        let slot = database.slot(shard).await?;
        if let Some((slot, holder)) = slot
            .as_ref()
            .and_then(|slot| Some((slot, slot.holder.as_ref()?)))
        {
            return Err(Failure::new(
                ErrorCode::SlotInUse,
                format!("the slot {:?} is in use by {holder}", slot.name),
                "stop all relays of this outbox, standbys too, and run it again",
            ));
        }
    }
    Ok(())
}

/// Rows that were read from their tables may come by the stream too: only the slot that reads them knows which.
async fn has_read_its_tables(shard: &Config) -> Result<(), Failure> {
    match relay(shard).handed().await? {
        Some(handed) if handed.reads_tables => Err(Failure::new(
            ErrorCode::Backfill,
            format!(
                "rows of the outbox tables are still being sent by the slot {:?}",
                shard.relay.slot.as_str()
            ),
            "start the relay, and run this again when it streams and nothing waits (`cdc-relay status`)",
        )),
        _ => Ok(()),
    }
}

/// Whether a new slot's checkpoint says where it goes on; one that an older slot of its name has left is before it.
async fn has_taken_over(database: &Database, shard: &Config) -> Result<bool, Failure> {
    let Some(slot) = database.slot(shard).await? else {
        return Ok(false);
    };
    let begins: Option<Lsn> = slot.confirmed_lsn.and_then(|lsn| lsn.parse().ok());
    let handed = relay(shard).handed().await?;
    Ok(handed.is_some_and(|handed| begins.is_some_and(|begins| handed.lsn >= begins)))
}
