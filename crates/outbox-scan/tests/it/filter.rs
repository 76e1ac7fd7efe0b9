//! Only the rows of young transactions.

use pg_replication::Client;
use pg_replication::pgoutput::Xid;

use crate::database::{Database, numbers};

/// The transaction of the session; a new one if none is open.
async fn current(client: &Client) -> Xid {
    let sql = "SELECT pg_current_xact_id()::xid::text";
    let row = client.query_one(sql, &[]).await.unwrap();
    Xid(row.get::<_, String>(0).parse().unwrap())
}

#[tokio::test]
async fn gives_only_rows_that_are_not_older() {
    let database = Database::create("since").await;
    database
        .run("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        .await;
    let running = database.client().await;
    running
        .batch_execute("BEGIN; INSERT INTO t VALUES (2)")
        .await
        .unwrap();
    let since = current(&running).await;
    database.run("INSERT INTO t VALUES (3)").await;
    let sql = "SAVEPOINT s; INSERT INTO t VALUES (4); COMMIT";
    running.batch_execute(sql).await.unwrap();
    database
        .run("BEGIN; INSERT INTO t VALUES (5); ROLLBACK")
        .await;

    let mut plan = database.plan(&["t"]).await;
    assert_eq!(numbers(&database.scan(plan.clone()).await), [1, 2, 3, 4]);
    plan.since = Some(since);
    assert_eq!(numbers(&database.scan(plan.clone()).await), [2, 3, 4]);
    // Frozen rows keep their age.
    database.run("VACUUM FREEZE t").await;
    assert_eq!(numbers(&database.scan(plan.clone()).await), [2, 3, 4]);
    plan.since = Some(current(&running).await);
    assert!(database.scan(plan).await.is_empty());
}
