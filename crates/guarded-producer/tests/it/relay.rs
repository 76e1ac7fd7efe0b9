//! A stand-in for the relay: a slot that moves as if everything were delivered at once, or stands still.

use std::time::Duration;

use pg_replication::{SlotName, connect_client};
use test_database::Database;
use tokio::task::JoinSet;

/// Moves the slot until it is dropped.
pub(crate) struct Delivering(
    #[expect(dead_code, reason = "dropping it ends the task")] JoinSet<()>,
);

/// Makes the slot.
pub(crate) async fn slot(database: &Database) -> SlotName {
    let slot = database.slot("relay");
    let sql = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
    database.execute(&sql).await;
    slot
}

/// Everything up to now is delivered.
pub(crate) async fn deliver(database: &Database, slot: &SlotName) {
    let sql = advance(slot);
    database.execute(&sql).await;
}

/// From now on everything is delivered at once.
pub(crate) async fn deliver_always(database: &Database, slot: &SlotName) -> Delivering {
    deliver_every(Duration::from_millis(5), database, slot).await
}

/// From now on the slot moves once in a while, as that of a relay does which has nothing to deliver.
pub(crate) async fn deliver_every(
    pause: Duration,
    database: &Database,
    slot: &SlotName,
) -> Delivering {
    let client = connect_client(database.options()).await.unwrap();
    let sql = advance(slot);
    let mut task = JoinSet::new();
    task.spawn(async move {
        // The database goes away in the end.
        while client.batch_execute(&sql).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    });
    Delivering(task)
}

fn advance(slot: &SlotName) -> String {
    format!("SELECT pg_replication_slot_advance('{slot}', pg_current_wal_flush_lsn())")
}
