//! Servers that cannot be reached, or refuse: one paragraph, exit status 69.

use crate::binary::run;
use crate::database::{TestDatabase, unique};
use crate::pooler::Pooler;
use crate::services;

#[tokio::test]
async fn says_that_the_host_is_unknown() {
    let url = (
        "CDC_POSTGRES__URL",
        "postgres://u:hunter2@no-such-host.invalid/app",
    );
    let report = run(&["init"], &[url]).await.failed(69, "CDC0010");
    assert!(
        report.contains("no-such-host.invalid") && !report.contains("hunter2"),
        "{report}"
    );
    let ended = run(
        &["doctor"],
        &[url, ("CDC_KAFKA__BROKERS", services::kafka_brokers())],
    )
    .await;
    assert!(
        ended.stdout.contains("FAIL PostgreSQL") && ended.stdout.contains("CDC0010"),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains("hunter2"), "{ended:?}");
    ended.failed(69, "CDC0052");
}

#[tokio::test]
async fn says_that_nothing_listens() {
    let url = ("CDC_POSTGRES__URL", "postgres://u@127.0.0.1:1/app");
    for command in ["init", "status"] {
        let report = run(&[command], &[url]).await.failed(69, "CDC0010");
        assert!(
            report.contains("127.0.0.1:1") && report.contains("refused"),
            "{report}"
        );
    }
}

#[tokio::test]
async fn says_that_the_database_is_missing() {
    let database = TestDatabase::create().await;
    let missing = format!("{}_missing", database.url());
    for command in ["init", "relay", "status"] {
        let ended = database
            .run_with(&[command], &[("CDC_POSTGRES__URL", &missing)])
            .await;
        let report = ended.failed(69, "CDC0012");
        assert!(
            report.contains(&format!("{}_missing", database.name)),
            "{report}"
        );
    }
}

#[tokio::test]
async fn says_that_the_role_is_missing() {
    let database = TestDatabase::create().await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{}@{address}", unique("nobody"));
    database
        .run_with(&["init"], &[("CDC_POSTGRES__URL", &url)])
        .await
        .failed(69, "CDC0011");
}

#[tokio::test]
async fn names_the_pooler() {
    let database = TestDatabase::create().await;
    let server = database
        .url()
        .rsplit_once('@')
        .unwrap()
        .1
        .split_once('/')
        .unwrap()
        .0
        .to_owned();
    let pooler = Pooler::start(server).await;
    let url = format!("postgres://postgres@{}/{}", pooler.address, database.name);
    for command in ["init", "relay"] {
        let report = database
            .run_with(&[command], &[("CDC_POSTGRES__URL", &url)])
            .await
            .failed(69, "CDC0014");
        assert!(
            report.contains("pooler") && report.contains(&pooler.address),
            "{report}"
        );
    }
    assert_eq!(
        database.objects().await,
        "",
        "init changed something before it looked"
    );
}

#[tokio::test]
async fn says_that_kafka_cannot_be_reached_and_changes_nothing() {
    let database = TestDatabase::create().await;
    let nowhere = [("CDC_KAFKA__BROKERS", "127.0.0.1:1")];
    let report = database
        .run_with(&["init"], &nowhere)
        .await
        .failed(69, "CDC0040");
    assert!(report.contains("127.0.0.1:1"), "{report}");
    assert_eq!(database.objects().await, "");
    let ended = database.run_with(&["doctor"], &nowhere).await;
    assert!(ended.stdout.contains("FAIL Kafka"), "{ended:?}");
    ended.failed(69, "CDC0052");
}
