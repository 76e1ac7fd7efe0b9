//! Starting to stream, and every way in which the server refuses it.

use std::time::Duration;

use pg_replication::{
    Client, CreateSlot, Disposition, Error, PublicationName, ReplicationStream, SlotName,
    SnapshotAction, SqlState, StreamEvent, StreamOptions,
};
use tokio::time::timeout;

use test_database::Database;

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

/// What other tables write moves the slot too, but only by the caller's word.
#[tokio::test]
async fn an_idle_position_moves_the_slot_when_it_is_acknowledged() {
    let database = Database::create("idle").await;
    let client = database.client().await;
    let sql =
        "CREATE TABLE t (n int); CREATE TABLE other (n int); CREATE PUBLICATION p FOR TABLE t";
    client.batch_execute(sql).await.unwrap();
    let slot = create_slot(&database).await;
    let mut stream = start(&database, &slot).await.unwrap();
    let sql = "INSERT INTO other VALUES (1); SELECT pg_switch_wal()";
    client.batch_execute(sql).await.unwrap();
    let sql = "SELECT pg_current_wal_flush_lsn()::text";
    let written: String = client.query_one(sql, &[]).await.unwrap().get(0);
    let written = written.parse().unwrap();
    let idle = async {
        loop {
            while let Some(event) = stream.try_next().unwrap() {
                assert_eq!(stream.confirmed(), pg_lsn::Lsn::ZERO);
                match event {
                    StreamEvent::Idle { token, .. } if token.lsn() >= written => return token,
                    StreamEvent::Idle { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            stream.fill().await.unwrap();
        }
    };
    let token = timeout(Duration::from_secs(20), idle).await.unwrap();
    let position = token.lsn();
    assert!(stream.acknowledge(token));
    assert_eq!(stream.confirmed(), position);
    stream.close(Duration::from_secs(10)).await.unwrap();
    let sql = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1";
    let row = client.query_one(sql, &[&slot.as_str()]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0).parse(), Ok(position));
}
