//! What can't be scanned.

use outbox_scan::{Error, ScanPlan, TableName, TableScan, View};
use pg_replication::Disposition;

use crate::database::{Database, numbers};

async fn refused(database: &Database, plan: ScanPlan) -> Error {
    TableScan::open(database.options(), plan).await.unwrap_err()
}

#[tokio::test]
async fn refuses_what_is_no_table() {
    let database = Database::create("no_table").await;
    database.run("CREATE VIEW v AS SELECT 1 AS n").await;
    let error = refused(&database, database.plan(&["v"]).await).await;
    assert!(matches!(error, Error::NotATable { .. }), "{error:?}");
    let error = refused(&database, database.plan(&["missing"]).await).await;
    let Error::TableMissing { table } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(table, &TableName::new("public", "missing"));
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn says_that_the_exported_snapshot_is_gone() {
    let database = Database::create("gone").await;
    database.run("CREATE TABLE t (n int)").await;
    let (session, slot) = database.slot().await;
    let name = slot.snapshot_name.clone().unwrap();
    let mut plan = database.plan(&["t"]).await;
    plan.view = View::Exported(name.clone());
    drop(database.open(plan.clone()).await);
    // The session gives its snapshot up with the next command.
    let mut session = session;
    session.simple_query("SELECT 1").await.unwrap();
    for name in [name, "no snapshot's name".to_owned()] {
        plan.view = View::Exported(name.clone());
        let error = refused(&database, plan.clone()).await;
        assert!(
            matches!(&error, Error::SnapshotGone { name: n, .. } if *n == name),
            "{error:?}"
        );
    }
}

/// A policy would hide rows without a word.
#[tokio::test]
async fn refuses_to_leave_out_what_a_policy_hides() {
    let database = Database::create("policy").await;
    let role = format!("{}_role", database.name());
    let sql = format!(
        "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2); ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
         CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role}; \
         CREATE POLICY half ON t FOR SELECT TO {role} USING (n = 1); \
         ALTER TABLE t OWNER TO {role}; ALTER TABLE t FORCE ROW LEVEL SECURITY"
    );
    database.run(&sql).await;
    // Owners may not see more than the policy when it is forced.
    let url = format!(
        "postgres://{role}@{}/{}",
        database.options().hosts()[0],
        database.name()
    );
    let options = url.parse().unwrap();
    let mut scan = TableScan::open(&options, database.plan(&["t"]).await)
        .await
        .unwrap();
    let error = scan.next_chunk().await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Permanent, "{error:?}");
    assert!(matches!(scan.next_chunk().await, Err(Error::Over)));
    drop(scan);
    database
        .run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

#[tokio::test]
async fn says_that_the_server_may_not_sort_so_many_rows() {
    let database = Database::create("no_room").await;
    let sql = format!(
        "CREATE TABLE t (n int, text text); INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 10000) AS n; \
         ALTER DATABASE {name} SET work_mem = '64kB'; ALTER DATABASE {name} SET temp_file_limit = '100kB'",
        name = database.name()
    );
    database.run(&sql).await;
    let mut scan = database.open(database.plan(&["t"]).await).await;
    let error = scan.next_chunk().await.unwrap_err();
    assert!(matches!(error, Error::NoRoomToSort { .. }), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn copes_with_partitions_that_are_dropped_and_renamed() {
    let database = Database::create("drop").await;
    let sql = "CREATE TABLE t (n int) PARTITION BY LIST (n); \
        CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2); \
        CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3); INSERT INTO t VALUES (1), (2), (3); \
        CREATE TABLE impostor (n int); INSERT INTO impostor VALUES (9)";
    database.run(sql).await;
    let mut scan = database.open(database.plan(&["t"]).await).await;
    let mut chunks = vec![scan.next_chunk().await.unwrap().unwrap()];
    // Also one that was read: the scan does not hold it any more.
    let sql = "SET lock_timeout = '5s'; DROP TABLE t1; DROP TABLE t2; ALTER TABLE t3 RENAME TO third; ALTER TABLE impostor RENAME TO t3";
    database.run(sql).await;
    while let Some(chunk) = scan.next_chunk().await.unwrap() {
        chunks.push(chunk);
    }
    assert_eq!(numbers(&chunks), [1, 3]);
}
