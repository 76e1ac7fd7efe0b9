//! What `doctor` says of the replication slot.

use std::time::Duration;

use pg_replication::{ReplicationStream, Session, StreamOptions};

use super::{finding, findings, tells};
use crate::cluster::Cluster;
use crate::database::{TestDatabase, options};

#[tokio::test]
async fn finds_a_slot_of_another_plugin() {
    let database = TestDatabase::create().await;
    let sql = format!(
        "SELECT pg_create_logical_replication_slot('{}', 'test_decoding')",
        database.name
    );
    database.execute(&sql).await;
    let (_, findings) = findings(&database, &[]).await;
    assert_eq!(finding(&findings, "slot")["code"], "CDC0025");
}

#[tokio::test]
async fn says_when_a_slot_will_be_lost_at_the_rate_of_now() {
    let cluster = Cluster::start("wal_level = logical\nmax_slot_wal_keep_size = 2GB").await;
    let database = TestDatabase::create_on(&cluster.url()).await;
    database.run(&["init"]).await.succeeded();
    let (_, found) = findings(&database, &[]).await;
    tells(&found, "disk guard", "ok", "2048 MiB");

    let writer = database.connect().await;
    let writing = async {
        loop {
            let write = "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 100000)) FROM generate_series(1, 5)";
            writer.batch_execute(write).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::select! {
        (_, found) = findings(&database, &[]) => found,
        () = writing => unreachable!("it writes for ever"),
    };
    tells(&found, "retained WAL", "warn", "it is lost in");
    tells(&found, "slot", "ok", "is free");
}

#[tokio::test]
async fn says_who_holds_the_slot_and_whether_it_follows() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let options = options(&database.url()).with_application_name("somebody-else");
    let session = Session::connect(&options).await.unwrap();
    let stream = StreamOptions {
        slot: database.name.parse().unwrap(),
        publications: vec!["cdc_relay".parse().unwrap()],
        messages: false,
        status_interval: Duration::from_secs(1),
        silence_limit: Duration::from_secs(30),
    };
    let _stream = ReplicationStream::start(session, &stream).await.unwrap();
    let (_, found) = findings(&database, &[]).await;
    tells(&found, "slot", "ok", "somebody-else");
    tells(&found, "slot", "ok", "from 127.0.0.1");
    tells(&found, "lag", "ok", "not confirmed");
}

#[tokio::test]
async fn refuses_a_slot_for_prepared_transactions() {
    let database = TestDatabase::create().await;
    let name = &database.name;
    database
        .execute(&format!(
            "SELECT pg_create_logical_replication_slot('{name}', 'pgoutput', false, true)"
        ))
        .await;
    let (_, found) = findings(&database, &[]).await;
    tells(&found, "slot", "fail", "two_phase");
    database.run(&["init"]).await.failed(69, "CDC0025");
}

#[tokio::test]
async fn judges_failover_slots_of_a_server_that_has_them() {
    let cluster = Cluster::start_version(
        18,
        "wal_level = logical\nidle_replication_slot_timeout = 1d",
    )
    .await;
    let database = TestDatabase::create_on(&cluster.url()).await;
    database.run(&["init"]).await.succeeded();
    let (status, found) = findings(&database, &[]).await;
    assert_eq!(status, 0, "{found:#?}");
    tells(&found, "failover", "ok", "keep a copy");
    tells(&found, "idle timeout", "warn", "86400 s");

    let admin = database.connect().await;
    for sql in [
        "SELECT pg_create_physical_replication_slot('standby_1')",
        "ALTER SYSTEM SET synchronized_standby_slots = 'standby_1'",
        "SELECT pg_reload_conf()",
    ] {
        admin.batch_execute(sql).await.unwrap();
    }
    let applied = async || {
        database
            .text("SELECT current_setting('synchronized_standby_slots')")
            .await
    };
    while applied().await.as_deref() != Some("standby_1") {}
    let (status, found) = findings(&database, &[]).await;
    assert_eq!(status, 69, "{found:#?}");
    tells(
        &found,
        "standbys",
        "fail",
        "no standby streams from standby_1",
    );

    let name = &database.name;
    admin
        .batch_execute(&format!(
            "SELECT pg_drop_replication_slot('{name}');
             SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"
        ))
        .await
        .unwrap();
    let (_, found) = findings(&database, &[]).await;
    tells(&found, "failover", "warn", "ALTER_REPLICATION_SLOT");
}
