//! Many lanes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cdc_event::Admission;
use ordered_lanes::{GuardLimits, LaneGuard, PostgresLanes, claim_due};

use crate::database::Database;
use crate::records::{GROUP, HOLD, HOUR, again, assignment, record};

const WAITING: usize = 100_000;

/// That many lanes that are due in an hour, of partition 0, each with a record that is of no interest here.
async fn fill(database: &Database) {
    database
        .execute(&format!(
            "INSERT INTO cdc.lane (id, consumer_group, topic, partition, partition_count, last_offset, last_position,
                                   events, due_at)
             SELECT decode(md5(number::text), 'hex'), '{GROUP}', 'orders', 0, 2, number, 1, 1,
                    now() + interval '1 hour' + number * interval '1 ms'
               FROM generate_series(1, {WAITING}) AS number;
             ANALYZE cdc.lane"
        ))
        .await;
}

#[tokio::test]
async fn finds_what_is_due_among_many_that_wait() {
    let database = Database::create().await;
    database.relax().await;
    fill(&database).await;
    let lanes = Arc::new(database.lanes().await);
    let guard = LaneGuard::take_over(Arc::clone(&lanes), assignment(1), Some(0), HOLD)
        .await
        .unwrap();
    let mut times = Vec::new();
    for offset in 0..21 {
        guard
            .park(
                &record(1, offset, Some(&format!("key {offset}"))),
                &again(Duration::ZERO),
            )
            .await
            .unwrap();
        let started = Instant::now();
        let claimed = claim_due(&lanes, GROUP, 64, HOUR).await.unwrap();
        times.push(started.elapsed());
        assert_eq!(claimed.len(), 1);
    }
    times.sort();
    println!(
        "median {:?}, longest {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    // Other tests take the processor and the disk from many of them, but not from all.
    assert!(
        times[times.len() / 4] < Duration::from_millis(10),
        "{times:?}"
    );

    // Not by luck: nothing reads the lanes that wait.
    let plan =
        "EXPLAIN SELECT id FROM cdc.lane WHERE consumer_group = 'billing' AND due_at <= now()
                 ORDER BY due_at LIMIT 64 FOR UPDATE SKIP LOCKED";
    let plan: Vec<String> = database
        .client()
        .await
        .query(plan, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let plan = plan.join("\n");
    assert!(
        plan.contains("lane_by_due") && !plan.contains("Sort") && !plan.contains("Seq Scan"),
        "{plan}"
    );
}

#[tokio::test]
async fn an_owner_of_many_open_keys_knows_them_and_holds_no_record() {
    let database = Database::create().await;
    fill(&database).await;
    let lanes: Arc<PostgresLanes> = Arc::new(database.lanes().await);
    let limits = GuardLimits {
        open_keys: WAITING,
        ..HOLD
    };
    let before = resident();
    let guard = LaneGuard::take_over(Arc::clone(&lanes), assignment(0), Some(0), limits)
        .await
        .unwrap();
    let grown = resident().saturating_sub(before);
    assert_eq!(guard.open_keys(), WAITING);
    println!("{} bytes a key", grown / WAITING);
    // With what the answer of the database takes while it is read; other tests run beside this one.
    assert!(grown < 100 << 20, "{grown} bytes");
    let free = record(0, 200_000, Some("free"));
    assert_eq!(guard.admit(&free).await.unwrap(), Admission::Process);
    guard.park(&free, &again(HOUR)).await.unwrap_err();
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}
