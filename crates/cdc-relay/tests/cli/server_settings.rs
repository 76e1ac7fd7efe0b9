//! What only a server of its own can show: passwords and `wal_level`.

use crate::cluster::{Cluster, PASSWORD};
use crate::database::TestDatabase;

#[tokio::test]
async fn refuses_a_wrong_password_and_a_server_without_logical_wal() {
    let cluster = Cluster::start("wal_level = replica").await;
    let database = TestDatabase::create_on(&cluster.url()).await;

    let wrong = database.url().replace(PASSWORD, "hunter2");
    for command in ["init", "relay", "status"] {
        let report = database.run_with(&[command], &[("CDC_POSTGRES__URL", &wrong)]).await.failed(69, "CDC0011");
        assert!(report.contains("\"postgres\"") && report.contains(&cluster.address), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }

    let report = database.run(&["init"]).await.failed(69, "CDC0013");
    assert!(report.contains("replica") && report.contains("ALTER SYSTEM SET wal_level"), "{report}");
    assert!(!report.contains(PASSWORD), "{report}");
    assert_eq!(database.objects().await, "");
    let doctor = database.run(&["doctor"]).await;
    assert!(doctor.stdout.contains("FAIL wal_level"), "{doctor:?}");
    assert!(!doctor.stdout.contains(PASSWORD), "{doctor:?}");
    doctor.failed(69, "CDC0052");
}
