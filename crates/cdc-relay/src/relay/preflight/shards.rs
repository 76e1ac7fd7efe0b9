//! Several slots that share an outbox must divide it: no event in two shards, and none in none.

use pg_replication::{Session, quote_literal};

use super::query;
use crate::config::{OutboxTable, RelayConfig};
use crate::relay::error::RelayError;
use crate::shard::Shard;

/// Whether `publication`, an SQL literal, carries those rows of `table` that are of `shard`, and no others.
pub(super) async fn is_divided(
    session: &mut Session,
    publication: &str,
    table: &OutboxTable,
    shard: Shard,
) -> Result<bool, RelayError> {
    let (schema, name) = (quote_literal(table.schema()), quote_literal(table.name()));
    let sql = format!(
        "SELECT rowfilter FROM pg_catalog.pg_publication_tables
          WHERE pubname = {publication} AND schemaname = {schema} AND tablename = {name}"
    );
    let rows = query(session, &sql).await?;
    let filter = rows.first().and_then(|row| row.get(0));
    Ok(filter.is_some_and(|filter| shard.is_condition(filter)))
}

/// Refuses to relay beside slots of another number of shards.
pub(in crate::relay) async fn no_other_shards(
    session: &mut Session,
    relay: &RelayConfig,
) -> Result<(), RelayError> {
    let base = relay.base_slot();
    let literal = quote_literal(base);
    let sql = format!(
        "SELECT slot_name FROM pg_catalog.pg_replication_slots
          WHERE database = pg_catalog.current_database() AND pg_catalog.starts_with(slot_name::text, {literal})"
    );
    for row in query(session, &sql).await? {
        let Some(slot) = row.get(0) else { continue };
        match Shard::of_name(slot, base) {
            Some(shard) if shard.of() != relay.shards => {
                return Err(RelayError::OtherShards {
                    shards: relay.shards,
                    slot: slot.to_owned(),
                    found: shard.of(),
                });
            }
            _ => {}
        }
    }
    Ok(())
}
