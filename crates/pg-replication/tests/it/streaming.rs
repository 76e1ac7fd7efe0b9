//! Starting to stream, and every way in which the server refuses it.

use std::time::Duration;

use pg_replication::{
    Client, CreateSlot, Disposition, Error, PublicationName, ReplicationStream, SlotName,
    SnapshotAction, SqlState, StreamEvent, StreamOptions,
};
use tokio::time::timeout;

use crate::database::Database;

fn options(slot: &SlotName, publications: &[&str]) -> StreamOptions {
    StreamOptions {
        slot: slot.clone(),
        publications: publications
            .iter()
            .map(|name| PublicationName::new(name).unwrap())
            .collect(),
        messages: true,
        status_interval: Duration::from_secs(1),
        silence_limit: Duration::from_secs(30),
    }
}

async fn create_slot(database: &Database) -> SlotName {
    let name = database.slot("s");
    let slot = CreateSlot {
        name: name.clone(),
        temporary: false,
        failover: false,
        snapshot: SnapshotAction::Nothing,
    };
    database.session().await.create_slot(&slot).await.unwrap();
    name
}

async fn start(database: &Database, slot: &SlotName) -> Result<ReplicationStream, Error> {
    ReplicationStream::start(database.session().await, &options(slot, &["p"])).await
}

/// Runs `sql` and streams until the transaction that it made is there.
async fn is_streamed(client: &Client, sql: &str, stream: &mut ReplicationStream) -> bool {
    client.batch_execute(sql).await.unwrap();
    let commit = async {
        loop {
            while let Some(event) = stream.try_next().unwrap() {
                if let StreamEvent::Commit(_, token) = event {
                    return stream.acknowledge(token);
                }
            }
            stream.fill().await.unwrap();
        }
    };
    timeout(Duration::from_secs(20), commit)
        .await
        .unwrap_or(false)
}

#[tokio::test]
async fn streams_publications_of_any_name() {
    let database = Database::create("publications").await;
    let client = database.client().await;
    let names = ["Mixed Case, comma", "o'b\"r", "plain"];
    client
        .batch_execute("CREATE TABLE t (n int)")
        .await
        .unwrap();
    for name in names {
        let quoted = name.replace('"', "\"\"");
        client
            .batch_execute(&format!("CREATE PUBLICATION \"{quoted}\" FOR TABLE t"))
            .await
            .unwrap();
    }
    let slot = create_slot(&database).await;
    let mut stream = ReplicationStream::start(database.session().await, &options(&slot, &names))
        .await
        .unwrap();
    assert!(is_streamed(&client, "INSERT INTO t VALUES (1)", &mut stream).await);
}

#[tokio::test]
async fn refuses_a_slot_that_is_not_there() {
    let database = Database::create("no_slot").await;
    let error = start(&database, &database.slot("s")).await.unwrap_err();
    assert_eq!(
        error.sql_state(),
        Some(SqlState::UNDEFINED_OBJECT),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn refuses_a_slot_of_another_plugin() {
    let database = Database::create("plugin").await;
    let slot = database.slot("s");
    let client = database.client().await;
    let sql = "SELECT pg_create_logical_replication_slot($1, 'test_decoding')";
    client.execute(sql, &[&slot.as_str()]).await.unwrap();
    let error = start(&database, &slot).await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn refuses_a_slot_of_another_database() {
    let (database, other) = (
        Database::create("here").await,
        Database::create("there").await,
    );
    let slot = create_slot(&other).await;
    let error = start(&database, &slot).await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn a_slot_that_another_process_streams_is_a_standby_s() {
    let database = Database::create("held").await;
    let client = database.client().await;
    client
        .batch_execute("CREATE TABLE t (n int); CREATE PUBLICATION p FOR TABLE t")
        .await
        .unwrap();
    let slot = create_slot(&database).await;
    let mut holder = start(&database, &slot).await.unwrap();
    let error = start(&database, &slot).await.unwrap_err();
    assert_eq!(
        error.sql_state(),
        Some(SqlState::OBJECT_IN_USE),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Standby);
    assert!(is_streamed(&client, "INSERT INTO t VALUES (1)", &mut holder).await);
}
