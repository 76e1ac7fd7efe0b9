//! What only a server of its own can show: passwords and `wal_level`.

use crate::cluster::{Cluster, PASSWORD};
use crate::database::TestDatabase;

#[tokio::test]
async fn refuses_a_wrong_password_and_a_server_without_logical_wal() {
    let cluster = Cluster::start("wal_level = replica").await;
    let database = TestDatabase::create_on(&cluster.url()).await;

    let wrong = database.url().replace(PASSWORD, "hunter2");
    for command in ["init", "relay", "status"] {
        let report = database
            .run_with(&[command], &[("CDC_POSTGRES__URL", &wrong)])
            .await
            .failed(69, "CDC0011");
        assert!(
            report.contains("\"postgres\"") && report.contains(&cluster.address),
            "{report}"
        );
        assert!(!report.contains("hunter2"), "{report}");
    }

    let report = database.run(&["init"]).await.failed(69, "CDC0013");
    assert!(
        report.contains("replica") && report.contains("ALTER SYSTEM SET wal_level"),
        "{report}"
    );
    assert!(!report.contains(PASSWORD), "{report}");
    assert_eq!(database.objects().await, "");
    let doctor = database.run(&["doctor"]).await;
    assert!(doctor.stdout.contains("FAIL wal_level"), "{doctor:?}");
    assert!(!doctor.stdout.contains(PASSWORD), "{doctor:?}");
    doctor.failed(69, "CDC0052");
}

#[tokio::test]
async fn says_that_the_slot_has_lost_its_log() {
    let settings = "wal_level = logical\nmax_slot_wal_keep_size = 1MB\nmin_wal_size = 32MB\nmax_wal_size = 32MB";
    let cluster = Cluster::start(settings).await;
    let database = TestDatabase::create_on(&cluster.url()).await;
    database.run(&["init"]).await.succeeded();
    let client = database.connect().await;
    for _ in 0..4 {
        // A segment that is not empty, so that the switch goes on to the next one.
        client
            .batch_execute("SELECT cdc.emit('order', '1', 'Placed', '{}')")
            .await
            .unwrap();
        client
            .batch_execute("SELECT pg_switch_wal()")
            .await
            .unwrap();
    }
    client.batch_execute("CHECKPOINT").await.unwrap();
    let status = database
        .text("SELECT wal_status FROM pg_replication_slots")
        .await;
    assert_eq!(status.as_deref(), Some("lost"));

    for command in ["relay", "init"] {
        let report = database.run(&[command]).await.failed(69, "CDC0026");
        assert!(
            report.contains(&database.name) && report.contains("max_slot_wal_keep_size"),
            "{report}"
        );
    }
    let doctor = database.run(&["doctor"]).await;
    assert!(doctor.stdout.contains("CDC0026"), "{doctor:?}");
    doctor.failed(69, "CDC0052");
    let status = database.run(&["status"]).await.succeeded();
    assert!(status.contains("lost"), "{status}");
}
