//! What a scan gives, and what it leaves behind.

use std::time::Duration;

use outbox_scan::{ScanPlan, TableName, View};
use pg_replication::pgoutput::TupleValue;

use crate::database::{Database, numbers, rows};

#[tokio::test]
async fn an_empty_table_has_no_chunk() {
    let database = Database::create("empty").await;
    database.run("CREATE TABLE t (n int)").await;
    assert!(database.scan(database.plan(&["t"]).await).await.is_empty());
    assert!(database.scan(database.plan(&[]).await).await.is_empty());
}

#[tokio::test]
async fn reads_a_statement_s_rows_by_their_places_without_a_key() {
    let database = Database::create("places").await;
    let sql = "CREATE TABLE t (n int, text text); \
               INSERT INTO t SELECT 5001 - n, repeat('x', 50) FROM generate_series(1, 5000) AS n";
    database.run(sql).await;
    let chunks = database.scan(database.plan(&["t"]).await).await;
    assert_eq!(numbers(&chunks), (1..=5000).rev().collect::<Vec<_>>());
    assert!(chunks.iter().all(|chunk| chunk.rows.len() <= 1000));
    assert!(
        rows(&chunks)
            .map(|row| row.position)
            .is_sorted_by(|a, b| a < b)
    );
}

/// Rows of such sizes that the fourth has room only in the first page, and the second and third don't.
const SCATTERED: [&str; 4] = [
    "INSERT INTO t SELECT 1, repeat('x', 5000)",
    "INSERT INTO t SELECT 2, repeat('x', 4000)",
    "INSERT INTO t SELECT 3, repeat('x', 3500)",
    "INSERT INTO t SELECT 4, repeat('x', 2800)",
];

async fn reads_as_written(database: &Database) {
    let client = database.client().await;
    let places = client
        .query("SELECT n FROM t ORDER BY ctid", &[])
        .await
        .unwrap();
    let places: Vec<i32> = places.iter().map(|row| row.get(0)).collect();
    assert_eq!(places, [1, 4, 2, 3], "the rows are not scattered");
    let mut plan = database.plan(&["t"]).await;
    let chunks = database.scan(plan.clone()).await;
    assert_eq!(numbers(&chunks), [1, 2, 3, 4]);
    let positions: Vec<_> = rows(&chunks).map(|row| row.position).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    plan.after = Some(positions[1]);
    assert_eq!(numbers(&database.scan(plan).await), [3, 4]);
}

#[tokio::test]
async fn reads_transactions_in_their_order_wherever_their_rows_are() {
    let database = Database::create("order").await;
    database
        .run("CREATE TABLE t (n int, text text); ALTER TABLE t ALTER COLUMN text SET STORAGE PLAIN")
        .await;
    for insert in SCATTERED {
        database.run(insert).await;
    }
    reads_as_written(&database).await;
}

#[tokio::test]
async fn reads_a_transaction_s_statements_in_their_order_wherever_their_rows_are() {
    let database = Database::create("statements").await;
    database
        .run("CREATE TABLE t (n int, text text); ALTER TABLE t ALTER COLUMN text SET STORAGE PLAIN")
        .await;
    database
        .run(&format!("BEGIN; {}; COMMIT", SCATTERED.join("; ")))
        .await;
    reads_as_written(&database).await;
}

#[tokio::test]
async fn reads_names_of_every_kind() {
    let database = Database::create("names").await;
    let sql = r#"CREATE SCHEMA "My ""Schema"; CREATE TABLE "My ""Schema"."o'Table.x" ("sélect" int, "a""b" text, "Ω" int);
        INSERT INTO "My ""Schema"."o'Table.x" VALUES (1, 'x', NULL)"#;
    database.run(sql).await;
    let table = TableName::new("My \"Schema", "o'Table.x");
    let plan = ScanPlan {
        tables: vec![table.clone()],
        view: View::AsOf(database.now().await),
        since: None,
        after: None,
    };
    let chunks = database.scan(plan).await;
    let relation = &chunks[0].relation;
    assert_eq!(
        (&relation.namespace, &relation.name),
        (&table.schema, &table.name)
    );
    let columns: Vec<&str> = relation.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(columns, ["sélect", "a\"b", "Ω"]);
    let values: Vec<_> = chunks[0].rows[0].tuple.iter().collect();
    let expected = [
        TupleValue::Text(b"1"),
        TupleValue::Text(b"x"),
        TupleValue::Null,
    ];
    assert_eq!(values, expected);
}

#[tokio::test]
async fn gives_a_partition_s_rows_under_the_name_of_the_whole() {
    let database = Database::create("partitions").await;
    // The second has its columns in another order, the third is partitioned itself, the fourth has none.
    let sql = "CREATE TABLE t (n int, at int) PARTITION BY RANGE (at); \
        CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); \
        CREATE TABLE t2 (at int, gone int, n int); ALTER TABLE t2 DROP COLUMN gone; \
        ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (20); \
        CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (20) TO (30) PARTITION BY LIST (at); \
        CREATE TABLE t3a PARTITION OF t3 DEFAULT; \
        CREATE TABLE t4 PARTITION OF t FOR VALUES FROM (30) TO (40); \
        CREATE TABLE other (n int); INSERT INTO other VALUES (9); \
        INSERT INTO t VALUES (1, 5), (2, 15), (3, 25)";
    database.run(sql).await;
    // A partition that is named besides its whole is read once.
    let chunks = database
        .scan(database.plan(&["t", "other", "t3a"]).await)
        .await;
    let found: Vec<_> = chunks
        .iter()
        .map(|chunk| {
            let n = chunk
                .relation
                .columns
                .iter()
                .position(|c| c.name == "n")
                .unwrap();
            let value = chunk.rows[0].tuple.value(n).unwrap().bytes().unwrap();
            (
                chunk.relation.name.as_str(),
                std::str::from_utf8(value).unwrap(),
            )
        })
        .collect();
    assert_eq!(found, [("t", "1"), ("t", "2"), ("t", "3"), ("other", "9")]);
    let ids: Vec<u32> = chunks.iter().map(|chunk| chunk.relation.id.0).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert!(
        chunks
            .iter()
            .all(|c| c.rows[0].position.relation() == c.relation.id.0)
    );
}

#[tokio::test]
async fn leaves_a_table_s_heirs_alone() {
    let database = Database::create("heirs").await;
    let sql = "CREATE TABLE t (n int); CREATE TABLE heir () INHERITS (t); \
               INSERT INTO t VALUES (1); INSERT INTO heir VALUES (2)";
    database.run(sql).await;
    assert_eq!(
        numbers(&database.scan(database.plan(&["t"]).await).await),
        [1]
    );
}

#[tokio::test]
async fn large_rows_come_in_small_chunks() {
    let database = Database::create("large").await;
    let sql = "CREATE TABLE t (n int, text text); \
               INSERT INTO t SELECT n, repeat(md5(n::text), 20000) FROM generate_series(1, 12) AS n";
    database.run(sql).await;
    let chunks = database.scan(database.plan(&["t"]).await).await;
    assert_eq!(numbers(&chunks), (1..=12).collect::<Vec<_>>());
    assert!(chunks.iter().all(|chunk| chunk.rows.len() <= 2));
}

#[tokio::test]
async fn a_call_that_is_dropped_loses_nothing() {
    let database = Database::create("dropped_call").await;
    let sql = "CREATE TABLE a (n int); CREATE TABLE b (n int); \
               INSERT INTO a SELECT generate_series(1, 3000); INSERT INTO b SELECT generate_series(3001, 5000)";
    database.run(sql).await;
    let mut scan = database.open(database.plan(&["a", "b"]).await).await;
    let mut found = Vec::new();
    let mut micros = 1;
    loop {
        let limit = Duration::from_micros(micros);
        match tokio::time::timeout(limit, scan.next_chunk()).await {
            Ok(chunk) => match chunk.unwrap() {
                Some(chunk) => found.push(chunk),
                None => break,
            },
            // Longer each time, to get on.
            Err(_dropped) => micros += micros / 2 + 1,
        }
        micros = if found.len() % 2 == 0 { micros } else { 1 };
        if micros == 1 {
            let chunk = scan.next_chunk().await.unwrap();
            found.extend(chunk);
        }
    }
    assert_eq!(numbers(&found), (1..=5000).collect::<Vec<_>>());
}

#[tokio::test]
async fn leaves_no_session_behind() {
    let database = Database::create("no_session").await;
    let sql = "CREATE TABLE t (n int, text text); ALTER TABLE t ALTER text SET STORAGE PLAIN; \
               INSERT INTO t SELECT n, repeat('x', 2000) FROM generate_series(1, 20000) AS n";
    database.run(sql).await;
    let options = database
        .options()
        .clone()
        .with_application_name("scan to drop");
    let watcher = database.client().await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scan to drop'";
    let count = async || -> i64 { watcher.query_one(count, &[]).await.unwrap().get(0) };
    let plan = database.plan(&["t"]).await;
    let mut scan = outbox_scan::TableScan::open(&options, plan).await.unwrap();
    scan.next_chunk().await.unwrap().unwrap();
    assert_eq!(count().await, 1);
    drop(scan);
    let gone = async {
        while count().await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("the session is still there");
}
