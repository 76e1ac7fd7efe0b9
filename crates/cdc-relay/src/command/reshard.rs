//! `cdc-relay reshard`: another number of slots for the same outbox.
//!
//! ```text
//!   old slots ───────────▶ D ─ dropped
//!   new slots    └ made    └───────────▶ from D on
//! ```
//!
//! D is a position of the log after all new slots have begun. The old slots are relayed up to D, the new ones from D on:
//! by the beginning of the commit record, as in each checkpoint. Until the first old slot is dropped, everything can be
//! done again with a later D; after that, only the dropping is left. Relays are kept off by the slots themselves: no relay
//! runs beside slots of another number of shards.

mod before;

use std::sync::Arc;

use pg_lsn::Lsn;
use pg_replication::quote_literal;
use tokio_util::sync::CancellationToken;

use self::before::Before;
use super::init::{Keys, StreamPlan};
use crate::cli::Reshard;
use crate::config::{Config, OnGap, Snapshot, quote_identifier};
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};
use crate::relay::Relay;
use crate::relay_state::{RelayMetrics, RelayState};
use crate::terminal::say;

/// Makes the new slots, lets them take over, and drops the old ones; goes on where an earlier run was interrupted.
pub(super) async fn run(arguments: &Reshard, config: &Config) -> Result<(), Failure> {
    let (from, to) = (config.relay.shards, arguments.to);
    if from == to {
        return Err(Failure::new(
            ErrorCode::Argument,
            format!("`relay.shards` is {from} already"),
            "give `--to` another number; `relay.shards` must still have the old one",
        ));
    }
    let config = quiet(config);
    let (old, new) = (config.shards(), config.with_shards(to)?.shards());
    let database = Database::connect(&config).await?;
    match Before::look(&database, &old, &new).await? {
        Before::Relayed => {
            make(&database, &new).await?;
            // A relay that began before there were new slots still has its slot; one that begins now is refused.
            before::nobody_streams(&database, &old).await?;
            let end = end_of_log(&database, &config).await?;
            relay_until(end, &old).await?;
            for shard in &new {
                relay(shard).take_over_at(end).await?;
                say(format!("takes over     {} at {end}", shard.relay.slot));
            }
        }
        Before::TakenOver => say("goes on        the new slots have taken over already"),
    }
    drop_streams(&database, &old).await?;
    say(format!(
        "done           set `relay.shards = {to}` and start the relay"
    ));
    Ok(())
}

/// Nothing is to be sent from the tables: the relay that does that has to come to its end first.
fn quiet(config: &Config) -> Config {
    let mut config = config.clone();
    config.relay.on_gap = OnGap::Fail;
    config.relay.snapshot = Snapshot::Never;
    config
}

fn relay(shard: &Config) -> Relay {
    let metrics = RelayMetrics::new(shard.relay.shard);
    let wire_timeout = shard.relay.wire_timeout.get();
    let state = RelayState::new(wire_timeout, metrics.clone());
    Relay::new(shard.clone(), Arc::new(state), metrics)
}

async fn make(database: &Database, new: &[Config]) -> Result<(), Failure> {
    let mut plans = Vec::new();
    for shard in new {
        let keys = Keys::look(database, shard).await?;
        let server = database.server(shard).await?;
        plans.push(StreamPlan::make(shard.clone(), &keys, &server, database).await?);
    }
    for plan in &plans {
        plan.make_publication(database).await?;
    }
    for plan in &plans {
        plan.make_slot(database).await?;
    }
    Ok(())
}

/// A position after all slots, and something committed behind it: the log is written beyond it, so that every slot gets
/// there.
async fn end_of_log(database: &Database, config: &Config) -> Result<Lsn, Failure> {
    let context = Context::new(config, "find the end of the log");
    let end = database
        .text("SELECT pg_catalog.pg_current_wal_insert_lsn()", context)
        .await?;
    database
        .execute(
            "SET synchronous_commit = local;
             SELECT pg_catalog.pg_logical_emit_message(true, 'cdc-relay.reshard', '')",
            context,
        )
        .await?;
    let end = end.and_then(|text| text.parse().ok());
    end.ok_or_else(|| Failure::internal("the server gave no position of its log"))
}

async fn relay_until(end: Lsn, old: &[Config]) -> Result<(), Failure> {
    let never = CancellationToken::new();
    for shard in old {
        let relay = relay(shard).until(end);
        Box::pin(relay.run(&never)).await?;
        say(format!("relayed        {} up to {end}", shard.relay.slot));
    }
    Ok(())
}

/// A slot before its publication, without which it could not be read any more.
async fn drop_streams(database: &Database, old: &[Config]) -> Result<(), Failure> {
    for shard in old {
        if let Some(slot) = database.slot(shard).await? {
            let sql = format!(
                "SELECT pg_catalog.pg_drop_replication_slot({})",
                quote_literal(&slot.name)
            );
            let context = Context::new(shard, "drop an old replication slot");
            database.execute(&sql, context).await?;
            say(format!("dropped        replication slot {}", slot.name));
        }
    }
    for shard in old {
        let name = shard.relay.publication.as_str();
        if database.publication(shard).await?.is_some() {
            let sql = format!("DROP PUBLICATION {}", quote_identifier(name));
            let context = Context::new(shard, "drop an old publication");
            database.execute(&sql, context).await?;
            say(format!("dropped        publication {name}"));
        }
    }
    Ok(())
}
