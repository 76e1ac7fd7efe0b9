//! Making and dropping slots.

use pg_replication::{CreateSlot, Error, PLUGIN, SnapshotAction, SqlState};

use test_database::Database;

fn slot(database: &Database, snapshot: SnapshotAction) -> CreateSlot {
    CreateSlot {
        name: database.slot("s"),
        temporary: false,
        failover: true,
        snapshot,
    }
}

fn state<T: std::fmt::Debug>(result: Result<T, Error>) -> Option<SqlState> {
    result.unwrap_err().sql_state()
}

#[tokio::test]
async fn exports_a_snapshot_that_ends_where_the_stream_begins() {
    let database = Database::create("snapshot").await;
    let client = database.client().await;
    client
        .batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let mut session = database.session().await;
    let created = session
        .create_slot(&slot(&database, SnapshotAction::Export))
        .await
        .unwrap();
    client
        .batch_execute("INSERT INTO t VALUES (2)")
        .await
        .unwrap();

    let snapshot = created.snapshot_name.as_deref().expect("no snapshot");
    client
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await
        .unwrap();
    client
        .batch_execute(&format!("SET TRANSACTION SNAPSHOT '{snapshot}'"))
        .await
        .unwrap();
    let seen: i64 = client
        .query_one("SELECT count(*) FROM t", &[])
        .await
        .unwrap()
        .get(0);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(seen, 1);

    let row = client
        .query_one(
            "SELECT confirmed_flush_lsn::text, plugin::text, temporary FROM pg_replication_slots WHERE slot_name = $1",
            &[&created.name.as_str()],
        )
        .await
        .unwrap();
    assert_eq!(created.consistent_point.to_string(), row.get::<_, &str>(0));
    assert_eq!(
        (created.plugin.as_str(), row.get::<_, &str>(1)),
        (PLUGIN, PLUGIN)
    );
    assert!(!row.get::<_, bool>(2));
}

#[tokio::test]
async fn asks_for_failover_only_where_the_server_can() {
    let database = Database::create("failover").await;
    let mut session = database.session().await;
    let created = session
        .create_slot(&slot(&database, SnapshotAction::Nothing))
        .await
        .unwrap();
    assert_eq!(created.failover, session.server_version().major() >= 17);
    assert_eq!(created.snapshot_name, None);
}

#[tokio::test]
async fn uses_the_snapshot_in_its_own_transaction() {
    let database = Database::create("use_snapshot").await;
    let client = database.client().await;
    client
        .batch_execute("CREATE TABLE t (n int)")
        .await
        .unwrap();
    let mut session = database.session().await;
    session
        .simple_query("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
        .await
        .unwrap();
    let mut wanted = slot(&database, SnapshotAction::Use);
    wanted.temporary = true;
    session.create_slot(&wanted).await.unwrap();
    client
        .batch_execute("INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let count = "SELECT count(*) FROM t";
    assert_eq!(
        session.simple_query(count).await.unwrap()[0].get(0),
        Some("0")
    );
    session.simple_query("COMMIT").await.unwrap();
    assert_eq!(
        session.simple_query(count).await.unwrap()[0].get(0),
        Some("1")
    );
}

#[tokio::test]
async fn refuses_a_second_slot_of_the_name_and_a_missing_one() {
    let database = Database::create("twice").await;
    let mut session = database.session().await;
    let wanted = slot(&database, SnapshotAction::Nothing);
    session.create_slot(&wanted).await.unwrap();
    assert_eq!(
        state(session.create_slot(&wanted).await),
        Some(SqlState::DUPLICATE_OBJECT)
    );
    session.drop_slot(&wanted.name).await.unwrap();
    assert_eq!(
        state(session.drop_slot(&wanted.name).await),
        Some(SqlState::UNDEFINED_OBJECT)
    );
    session.create_slot(&wanted).await.unwrap();
}

#[tokio::test]
async fn a_temporary_slot_ends_with_its_session() {
    let database = Database::create("temporary").await;
    let mut session = database.session().await;
    let wanted = CreateSlot {
        temporary: true,
        ..slot(&database, SnapshotAction::Nothing)
    };
    session.create_slot(&wanted).await.unwrap();
    let mut other = database.session().await;
    assert_eq!(
        state(other.drop_slot(&wanted.name).await),
        Some(SqlState::OBJECT_IN_USE)
    );
    drop(session);
    let gone = async {
        while state(other.drop_slot(&wanted.name).await) != Some(SqlState::UNDEFINED_OBJECT) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone)
        .await
        .expect("the slot is still there");
}
