//! `outbox.retention`: old rows go once they are confirmed, and never before.

use pg_replication::{ReplicationStream, Session, StreamOptions};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::database::{TestDatabase, options, unique};
use crate::running_relay::{RunningRelay, until};

/// Short enough for a round each second; rows of the present are written with a time of the future.
const RETENTION: (&str, &str) = ("CDC_OUTBOX__RETENTION", "10s");
/// Nobody listens: a relay streams, and delivers nothing.
const NO_KAFKA: (&str, &str) = ("CDC_KAFKA__BROKERS", "127.0.0.1:1");
/// The looks of retention at how far the slot is confirmed.
const LOOKS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE query LIKE '%bool_and' || '(confirmed_flush_lsn%'";
const ROUNDS: &str = "cdc_relay_outbox_retention_rounds_total";
const REMOVED: &str = "cdc_relay_outbox_removed_rows_total";

/// A server whose slots nobody else holds back.
async fn server() -> Cluster {
    Cluster::start("wal_level = logical\nautovacuum = off").await
}

/// Rows `from` to `to`, written `age` before now.
fn insert(from: u32, to: u32, age: &str) -> String {
    format!(
        "INSERT INTO cdc.outbox (aggregatetype, aggregateid, type, payload, created_at)
         SELECT 'order', n::text, 'Placed', '{{}}', now() - interval '{age}' FROM generate_series({from}, {to}) n"
    )
}

/// What `init` does, with a slot that is younger than what `sql` writes.
async fn make_slot_after(database: &TestDatabase, sql: &str) {
    database.run(&["init"]).await.succeeded();
    let slot = &database.name;
    database
        .execute(&format!("SELECT pg_drop_replication_slot('{slot}')"))
        .await;
    database.execute(sql).await;
    database.run(&["init"]).await.succeeded();
}

async fn rows(database: &TestDatabase, table: &str) -> String {
    let sql = format!(
        "SELECT coalesce(string_agg(aggregateid, ' ' ORDER BY aggregateid::int), '') FROM {table}"
    );
    database.text(&sql).await.unwrap()
}

/// Until the relay has looked at the whole table `count` times more.
async fn rounds(relay: &RunningRelay, count: f64) {
    let before = relay.metric(ROUNDS).await;
    until("rounds of retention", async || {
        relay.metric(ROUNDS).await >= before + count
    })
    .await;
}

/// It has had time for rounds, and made none.
async fn makes_no_round(relay: &RunningRelay) {
    until("time for rounds", async || {
        relay.status().await["uptime_seconds"].as_f64().unwrap() > 3.0
    })
    .await;
    assert!(relay.metric(ROUNDS).await < 0.5);
}

/// The only value of a query.
async fn number(database: &TestDatabase, sql: &str) -> i64 {
    let text = database.text(sql).await;
    text.unwrap().parse().unwrap()
}

async fn until_rows(database: &TestDatabase, table: &str, wanted: &str) {
    until(
        &format!("{table} to hold only the rows {wanted:?}"),
        async || rows(database, table).await == wanted,
    )
    .await;
}

#[tokio::test]
async fn removes_old_rows_in_batches_and_keeps_young_ones() {
    let server = server().await;
    let database = TestDatabase::create_on(&server.url()).await;
    database.run(&["init"]).await.succeeded();
    database.execute(&insert(1, 3500, "1 day")).await;
    database.execute(&insert(4001, 4002, "-1 day")).await;
    // Without a time, nothing says that it is old.
    database
        .execute("ALTER TABLE cdc.outbox ALTER created_at DROP NOT NULL")
        .await;
    database
        .execute("INSERT INTO cdc.outbox (aggregatetype, aggregateid, type, created_at) VALUES ('order', '4003', 'x', NULL)")
        .await;
    let relay = RunningRelay::start(&database, &[RETENTION]);
    until_rows(&database, "cdc.outbox", "4001 4002 4003").await;
    until("the count of removed rows", async || {
        (relay.metric(REMOVED).await - 3500.0).abs() < 0.5
    })
    .await;
    rounds(&relay, 2.0).await;
    assert_eq!(rows(&database, "cdc.outbox").await, "4001 4002 4003");
}

#[tokio::test]
async fn keeps_every_row_without_retention() {
    let server = server().await;
    let database = TestDatabase::create_on(&server.url()).await;
    database.run(&["init"]).await.succeeded();
    database.execute(&insert(1, 2, "1 year")).await;
    let relay = RunningRelay::start(&database, &[]);
    until("both events are sent", async || {
        relay.metric("cdc_relay_events_total").await >= 2.0
    })
    .await;
    database.execute("CHECKPOINT").await;
    assert!(relay.metric(ROUNDS).await < 0.5);
    assert_eq!(rows(&database, "cdc.outbox").await, "1 2");
}

/// A relay that streams, and cannot get past an event: it is to be parked, and nobody may write to the store.
#[tokio::test]
async fn never_removes_a_row_that_is_not_confirmed() {
    let server = server().await;
    let database = TestDatabase::create_on(&server.url()).await;
    make_slot_after(&database, &insert(100, 100, "1 day")).await;
    let relay = RunningRelay::start(&database, &[RETENTION, ("CDC_RELAY__POISON", "park")]);
    // Rounds do remove rows: this one is from before the slot.
    until_rows(&database, "cdc.outbox", "").await;

    // The oldest transaction of all, which commits last.
    let late = database.connect().await;
    let with_savepoint = format!(
        "BEGIN; {}; SAVEPOINT inner_one; {}; RELEASE inner_one",
        insert(1, 1, "1 day"),
        insert(2, 2, "1 day")
    );
    late.batch_execute(&with_savepoint).await.unwrap();
    let lock = database.connect().await;
    lock.batch_execute("BEGIN; LOCK TABLE cdc.failed_event")
        .await
        .unwrap();
    database.execute(&insert(3, 3, "1 day")).await;
    let no_topic = "INSERT INTO cdc.outbox (aggregatetype, aggregateid, type, created_at)
                    VALUES ('no topic', '4', 'x', now() - interval '1 day')";
    database.execute(no_topic).await;
    database.execute(&insert(5, 5, "1 day")).await;
    until("the relay to wait for the store", async || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'cdc.failed_event'::regclass";
        number(&database, waiting).await > 0
    })
    .await;
    late.batch_execute("COMMIT").await.unwrap();

    // It has looked again, and so has done what it does after the look before.
    for _ in 0..2 {
        let since = database.text("SELECT clock_timestamp()::text").await;
        let looks = format!("{LOOKS} AND query_start > '{}'", since.unwrap());
        until("the retention to look at the slot", async || {
            number(&database, &looks).await > 0
        })
        .await;
    }
    assert_eq!(rows(&database, "cdc.outbox").await, "1 2 3 4 5");
    assert_eq!(relay.status().await["phase"], "streaming");

    lock.batch_execute("ROLLBACK").await.unwrap();
    until_rows(&database, "cdc.outbox", "").await;
}

#[tokio::test]
async fn removes_nothing_while_kafka_is_away() {
    let server = server().await;
    let database = TestDatabase::create_on(&server.url()).await;
    make_slot_after(&database, &insert(1, 2, "1 day")).await;
    let relay = RunningRelay::start(&database, &[RETENTION, NO_KAFKA]);
    makes_no_round(&relay).await;
    assert_eq!(relay.status().await["phase"], "connecting");
    assert_eq!(rows(&database, "cdc.outbox").await, "1 2");
}

#[tokio::test]
async fn a_standby_removes_nothing_until_it_takes_over() {
    let server = server().await;
    let database = TestDatabase::create_on(&server.url()).await;
    make_slot_after(&database, &insert(1, 2, "1 day")).await;
    let session = Session::connect(&options(&database.url())).await.unwrap();
    let stream = StreamOptions {
        slot: database.name.parse().unwrap(),
        publications: vec!["cdc_relay".parse().unwrap()],
        messages: false,
        status_interval: Duration::from_secs(1),
        silence_limit: Duration::from_secs(30),
    };
    let held = ReplicationStream::start(session, &stream).await.unwrap();
    let relay = RunningRelay::start(&database, &[RETENTION]);
    relay.until_phase("standby").await;
    makes_no_round(&relay).await;
    assert_eq!(rows(&database, "cdc.outbox").await, "1 2");
    drop(held);
    until_rows(&database, "cdc.outbox", "").await;
}

/// Partitions of a past year with one row, of a past year without rows, of now, of the future, and a default one.
const PARTITIONED: &str = "
    CREATE TABLE parts (LIKE cdc.outbox INCLUDING DEFAULTS) PARTITION BY RANGE (created_at);
    CREATE TABLE parts_2001 PARTITION OF parts FOR VALUES FROM ('2001-01-01') TO ('2002-01-01');
    CREATE TABLE parts_2002 PARTITION OF parts FOR VALUES FROM ('2002-01-01') TO ('2003-01-01');
    CREATE TABLE parts_now PARTITION OF parts FOR VALUES FROM ('2003-01-01') TO ('2100-01-01');
    CREATE TABLE parts_future PARTITION OF parts FOR VALUES FROM ('2100-01-01') TO (MAXVALUE);
    CREATE TABLE parts_default PARTITION OF parts DEFAULT";

const INTO_PARTS: &str = "INSERT INTO parts (aggregatetype, aggregateid, type, created_at) VALUES";

async fn partitions(database: &TestDatabase) -> String {
    let sql = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname LIKE 'parts\\_%'";
    database.text(sql).await.unwrap()
}

#[tokio::test]
async fn drops_partitions_whose_time_has_passed_once_all_rows_are_confirmed() {
    let server = server().await;
    let database = TestDatabase::create_on(&server.url()).await;
    database.run(&["init"]).await.succeeded();
    database.execute(PARTITIONED).await;
    let tables = ("CDC_OUTBOX__TABLES", "cdc.outbox,public.parts");
    database.run_with(&["init"], &[tables]).await.succeeded();
    let values = "('order', '1', 'x', '2001-05-05'), ('order', '2', 'x', now() - interval '1 day'),
                  ('order', '3', 'x', now() + interval '1 day'), ('order', '4', 'x', '1999-01-01')";
    database.execute(&format!("{INTO_PARTS} {values}")).await;

    let stuck = RunningRelay::start(&database, &[RETENTION, NO_KAFKA, tables]);
    makes_no_round(&stuck).await;
    assert!(partitions(&database).await.contains("parts_2001"));
    assert_eq!(rows(&database, "parts").await, "1 2 3 4");
    stuck.kill().await;

    // A writer that does not end keeps partitions from being dropped, and is not disturbed.
    let writer = database.connect().await;
    let write = format!("BEGIN; {INTO_PARTS} ('order', '5', 'x', now() + interval '1 day')");
    writer.batch_execute(&write).await.unwrap();
    let relay = RunningRelay::start(&database, &[RETENTION, tables]);
    // Its rows go one by one in the meantime.
    until_rows(&database, "parts", "3").await;
    rounds(&relay, 2.0).await;
    assert!(partitions(&database).await.contains("parts_2001"));
    let other = format!("{INTO_PARTS} ('order', '6', 'x', now() + interval '1 day')");
    database.execute(&other).await;
    writer.batch_execute("COMMIT").await.unwrap();

    until_rows(&database, "parts", "3 5 6").await;
    until("the old partitions are dropped", async || {
        partitions(&database).await == "parts_default parts_future parts_now"
    })
    .await;
    assert!(
        (relay
            .metric("cdc_relay_outbox_dropped_partitions_total")
            .await
            - 2.0)
            .abs()
            < 0.5,
        "{}",
        relay.log()
    );
    assert!(
        relay
            .metric("cdc_relay_outbox_retention_errors_total")
            .await
            < 0.5,
        "{}",
        relay.log()
    );
}

#[tokio::test]
async fn deletes_the_rows_of_partitions_that_it_does_not_own() {
    let server = server().await;
    let database = TestDatabase::create_on(&server.url()).await;
    database.run(&["init"]).await.succeeded();
    database.execute(PARTITIONED).await;
    let tables = ("CDC_OUTBOX__TABLES", "public.parts");
    database.run_with(&["init"], &[tables]).await.succeeded();
    let role = unique("deleter");
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN REPLICATION PASSWORD 'opensesame';
             GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
        ))
        .await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}:opensesame@{address}");
    database
        .execute(&format!("{INTO_PARTS} ('order', '1', 'x', '2001-05-05'), ('order', '2', 'x', now() + interval '1 day')"))
        .await;
    let before = partitions(&database).await;
    let settings = [RETENTION, tables, ("CDC_POSTGRES__URL", &url)];
    let relay = RunningRelay::start(&database, &settings);
    until_rows(&database, "parts", "2").await;
    assert_eq!(partitions(&database).await, before);
    assert!(
        relay
            .metric("cdc_relay_outbox_retention_errors_total")
            .await
            < 0.5,
        "{}",
        relay.log()
    );
}

#[tokio::test]
async fn says_once_that_it_may_not_remove_rows_and_goes_on_relaying() {
    let server = server().await;
    let database = TestDatabase::create_on(&server.url()).await;
    database.run(&["init"]).await.succeeded();
    let role = unique("reader");
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN REPLICATION PASSWORD 'opensesame';
             GRANT USAGE ON SCHEMA cdc TO {role}; GRANT SELECT ON cdc.outbox TO {role}"
        ))
        .await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}:opensesame@{address}");
    database.execute(&insert(1, 1, "1 day")).await;
    let relay = RunningRelay::start(&database, &[RETENTION, ("CDC_POSTGRES__URL", &url)]);
    until("the refusals are counted", async || {
        relay
            .metric("cdc_relay_outbox_retention_errors_total")
            .await
            >= 2.5
    })
    .await;
    let log = relay.log();
    assert_eq!(log.matches("old outbox rows stay").count(), 1, "{log}");
    assert!(
        log.contains("GRANT SELECT, DELETE") && log.contains("CDC0015"),
        "{log}"
    );
    let before = relay.metric("cdc_relay_events_total").await;
    database.execute(&insert(2, 2, "1 day")).await;
    until("events still flow", async || {
        relay.metric("cdc_relay_events_total").await > before
    })
    .await;
}
