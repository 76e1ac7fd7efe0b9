//! The rows that were there, and the stream behind them, while others write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use outbox_scan::{Snapshot, View};
use pg_replication::pgoutput::{LogicalMessage, TupleValue};
use pg_replication::{Client, CreatedSlot, StreamEvent};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::database::{Database, number};

const WRITERS: i64 = 4;

/// Where a row was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    in_the_scan: u32,
    in_the_stream: u32,
}

/// Writes until told to stop, in transactions of all shapes; gives the rows that were committed.
async fn write(client: Client, next: Arc<AtomicI64>, stop: Arc<AtomicBool>) -> Vec<i64> {
    let mut committed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let [a, b, c] = [(); 3].map(|()| next.fetch_add(1, Ordering::Relaxed));
        let sql = match a % 4 {
            0 => {
                committed.extend([a, b, c]);
                format!("INSERT INTO t VALUES ({a}), ({b}), ({c})")
            }
            1 => {
                committed.extend([a, c]);
                format!(
                    "BEGIN; SAVEPOINT x; INSERT INTO t VALUES ({a}); RELEASE x; SAVEPOINT y; INSERT INTO t VALUES ({b}); \
                     SELECT pg_sleep(0.003); ROLLBACK TO y; SAVEPOINT z; INSERT INTO t VALUES ({c}); COMMIT"
                )
            }
            2 => format!("BEGIN; INSERT INTO t VALUES ({a}); ROLLBACK"),
            _ => {
                committed.push(a);
                format!(
                    "BEGIN; SAVEPOINT x; INSERT INTO t VALUES ({a}); SELECT pg_sleep(0.01); COMMIT"
                )
            }
        };
        client.batch_execute(&sql).await.unwrap();
    }
    committed
}

async fn scan(database: &Database, slot: &CreatedSlot, found: &mut BTreeMap<i64, Found>) {
    let mut plan = database.plan(&["t"]).await;
    plan.view = View::Exported(slot.snapshot_name.clone().unwrap());
    let mut scan = database.open(plan.clone()).await;
    let snapshot: Snapshot = scan.snapshot().to_string().parse().unwrap();
    let chunk = scan.next_chunk().await.unwrap().unwrap();
    // As after a crash: half of a chunk was taken, and the exported snapshot is gone.
    drop(scan);
    let taken = &chunk.rows[..chunk.rows.len() / 2];
    for row in taken {
        found.entry(number(row)).or_default().in_the_scan += 1;
    }
    plan.after = Some(taken.last().unwrap().position);
    plan.view = View::AsOf(snapshot);
    let mut scan = database.open(plan).await;
    while let Some(chunk) = scan.next_chunk().await.unwrap() {
        for row in &chunk.rows {
            found.entry(number(row)).or_default().in_the_scan += 1;
        }
    }
}

/// Streams until `last` is there.
async fn stream(
    database: &Database,
    slot: &CreatedSlot,
    last: i64,
    found: &mut BTreeMap<i64, Found>,
) {
    let mut stream = database.stream(slot).await;
    loop {
        while let Some(event) = stream.try_next().unwrap() {
            if let StreamEvent::Change(LogicalMessage::Insert(insert)) = event {
                let Some(TupleValue::Text(text)) = insert.new.value(0) else {
                    panic!("{insert:?}")
                };
                let row: i64 = std::str::from_utf8(text).unwrap().parse().unwrap();
                found.entry(row).or_default().in_the_stream += 1;
                if row == last {
                    return;
                }
            }
        }
        stream.fill().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scan_and_stream_together_have_every_row_once() {
    let database = Database::create("once").await;
    let sql = "CREATE TABLE t (n bigint); CREATE PUBLICATION p FOR TABLE t; \
               INSERT INTO t SELECT -n FROM generate_series(1, 5000) AS n";
    database.run(sql).await;
    let (next, stop) = (
        Arc::new(AtomicI64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let client = database.client().await;
        writers.spawn(write(client, Arc::clone(&next), Arc::clone(&stop)));
    }
    // The writers are on their way.
    while next.load(Ordering::Relaxed) < 300 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (session, slot) = database.slot().await;
    let mut found = BTreeMap::new();
    scan(&database, &slot, &mut found).await;
    drop(session);
    stop.store(true, Ordering::Relaxed);
    let mut committed: Vec<i64> = (-5000..0).collect();
    while let Some(rows) = writers.join_next().await {
        committed.extend(rows.unwrap());
    }
    let last = i64::MAX;
    database
        .run(&format!("INSERT INTO t VALUES ({last})"))
        .await;
    committed.push(last);
    committed.sort_unstable();
    timeout(
        Duration::from_secs(60),
        stream(&database, &slot, last, &mut found),
    )
    .await
    .unwrap();

    assert_eq!(found.keys().copied().collect::<Vec<_>>(), committed);
    let twice: Vec<_> = found
        .iter()
        .filter(|(_, found)| found.in_the_scan + found.in_the_stream != 1)
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
    let streamed = found
        .values()
        .filter(|found| found.in_the_stream > 0)
        .count();
    let early = found
        .range(0..)
        .filter(|(_, found)| found.in_the_scan > 0)
        .count();
    assert!(
        streamed > 10 && early > 10,
        "{streamed} streamed, {early} scanned"
    );
}
