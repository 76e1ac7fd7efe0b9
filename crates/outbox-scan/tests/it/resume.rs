//! Taking up a scan again.

use outbox_scan::View;

use crate::database::{Database, number, numbers, rows};

#[tokio::test]
async fn goes_on_behind_every_row() {
    let database = Database::create("every_row").await;
    let sql = "CREATE TABLE t (n int, text text) PARTITION BY HASH (n); \
        CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
        CREATE TABLE t2 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1); CREATE TABLE u (n int); \
        INSERT INTO t SELECT n, repeat('x', 1500) FROM generate_series(1, 40) AS n; \
        INSERT INTO u SELECT n FROM generate_series(41, 44) AS n";
    database.run(sql).await;
    let mut plan = database.plan(&["u", "t"]).await;
    let all: Vec<_> = rows(&database.scan(plan.clone()).await).cloned().collect();
    assert_eq!(all.len(), 44);
    for (index, row) in all.iter().enumerate() {
        plan.after = Some(row.position);
        let rest: Vec<_> = rows(&database.scan(plan.clone()).await).cloned().collect();
        assert_eq!(rest, all[index + 1..], "behind {}", row.position);
    }
}

#[tokio::test]
async fn rows_that_came_later_are_not_seen() {
    let database = Database::create("later").await;
    let sql = "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 10)";
    database.run(sql).await;
    let mut plan = database.plan(&["t"]).await;
    let first = database.scan(plan.clone()).await;
    plan.after = Some(first[0].rows[4].position);
    // In new places and in old ones.
    let sql = "DELETE FROM t WHERE n = 7; INSERT INTO t VALUES (11)";
    database.run(sql).await;
    database.run("VACUUM t").await;
    database.run("INSERT INTO t VALUES (12)").await;
    assert_eq!(numbers(&database.scan(plan).await), [6, 8, 9, 10]);
}

#[tokio::test]
async fn a_running_transaction_s_rows_are_not_seen_when_it_commits() {
    let database = Database::create("running").await;
    database
        .run("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        .await;
    let (before, within) = (database.client().await, database.client().await);
    within
        .batch_execute("BEGIN; INSERT INTO t VALUES (2)")
        .await
        .unwrap();
    before
        .batch_execute("INSERT INTO t VALUES (3)")
        .await
        .unwrap();
    let plan = database.plan(&["t"]).await;
    within.batch_execute("COMMIT").await.unwrap();
    before
        .batch_execute("INSERT INTO t VALUES (4)")
        .await
        .unwrap();
    assert_eq!(numbers(&database.scan(plan).await), [1, 3]);
}

/// A row keeps the number of its command where that of its removal goes, even if the removal is rolled back.
#[tokio::test]
async fn a_row_whose_removal_was_rolled_back_is_not_passed_over() {
    let database = Database::create("rolled_back").await;
    let sql = "CREATE TABLE t (n int); BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); \
               INSERT INTO t VALUES (3); INSERT INTO t VALUES (4); COMMIT";
    database.run(sql).await;
    let mut plan = database.plan(&["t"]).await;
    let first = database.scan(plan.clone()).await;
    plan.after = Some(first[0].rows[1].position);
    database
        .run("BEGIN; DELETE FROM t WHERE n = 4; ROLLBACK")
        .await;
    let mut rest = numbers(&database.scan(plan).await);
    rest.sort_unstable();
    assert_eq!(rest, [3, 4]);
}

#[tokio::test]
async fn a_table_that_was_written_anew_is_read_from_its_beginning() {
    let database = Database::create("anew").await;
    let sql = "CREATE TABLE t (n int PRIMARY KEY); INSERT INTO t SELECT 11 - n FROM generate_series(1, 10) AS n";
    database.run(sql).await;
    let mut plan = database.plan(&["t"]).await;
    let first = database.scan(plan.clone()).await;
    assert_eq!(number(&first[0].rows[4]), 6);
    plan.after = Some(first[0].rows[4].position);
    database.run("CLUSTER t USING t_pkey").await;
    assert_eq!(
        numbers(&database.scan(plan).await),
        (1..=10).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn sees_through_the_exported_snapshot_what_is_deleted_meanwhile() {
    let database = Database::create("deleted").await;
    let sql = "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)";
    database.run(sql).await;
    let (_session, slot) = database.slot().await;
    let mut plan = database.plan(&["t"]).await;
    plan.view = View::Exported(slot.snapshot_name.unwrap());
    database
        .run("INSERT INTO t VALUES (3); DELETE FROM t WHERE n = 1")
        .await;
    assert_eq!(numbers(&database.scan(plan).await), [1, 2]);
}
