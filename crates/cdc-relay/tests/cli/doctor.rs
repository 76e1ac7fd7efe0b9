//! `doctor`: each finding with what to do.

mod consumers;
mod kafka;
mod outbox;
mod slot;

use serde_json::Value;

use crate::binary::run;
use crate::cluster::{Cluster, PASSWORD};
use crate::database::{TestDatabase, options, unique};
use crate::pooler::Pooler;

async fn findings(database: &TestDatabase, more: &[(&str, &str)]) -> (i32, Vec<Value>) {
    let ended = database.run_with(&["doctor", "--json"], more).await;
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    (ended.status, json["findings"].as_array().unwrap().clone())
}

fn finding<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings
        .iter()
        .find(|finding| finding["check"] == check)
        .unwrap_or_else(|| panic!("no {check}: {findings:?}"))
}

/// Asserts that a check has a finding that is this bad, and that says `words` and what to do.
#[track_caller]
fn tells(findings: &[Value], check: &str, status: &str, words: &str) {
    let found = findings.iter().find(|finding| {
        let says = |field: &str| {
            finding[field]
                .as_str()
                .is_some_and(|text| text.contains(words))
        };
        finding["check"] == check
            && finding["status"] == status
            && (says("what") || says("remedy") || says("where"))
    });
    let Some(found) = found else {
        panic!("no {status} {check} with {words:?}: {findings:#?}")
    };
    assert!(!found["where"].as_str().unwrap().is_empty(), "{found}");
    assert!(
        status == "ok"
            || found["remedy"]
                .as_str()
                .is_some_and(|remedy| remedy.len() > 10),
        "{found}"
    );
}

#[tokio::test]
async fn finds_nothing_wrong_after_init() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let (status, findings) = findings(&database, &[]).await;
    assert_eq!(status, 0, "{findings:?}");
    assert!(
        findings.iter().all(|finding| finding["status"] != "fail"),
        "{findings:?}"
    );
    for check in [
        "version",
        "wal_level",
        "replication",
        "role",
        "publication",
        "slot",
        "outbox",
        "Kafka",
    ] {
        assert_eq!(finding(&findings, check)["status"], "ok", "{check}");
    }
    let text = database.run(&["doctor"]).await.succeeded();
    assert!(text.is_ascii() && text.contains(" 0 failed"), "{text}");
}

#[tokio::test]
async fn says_what_is_missing_before_init() {
    let database = TestDatabase::create().await;
    let (status, findings) = findings(&database, &[]).await;
    assert_eq!(status, 69);
    for (check, code) in [
        ("publication", "CDC0020"),
        ("slot", "CDC0023"),
        ("outbox", "CDC0030"),
    ] {
        let finding = finding(&findings, check);
        assert_eq!(
            (&finding["status"], &finding["code"]),
            (&"fail".into(), &code.into()),
            "{finding}"
        );
        assert!(
            finding["remedy"].as_str().unwrap().contains("init"),
            "{finding}"
        );
    }
}

#[tokio::test]
async fn tells_of_both_sides_when_neither_answers() {
    let environment = [
        ("CDC_POSTGRES__URL", "postgres://u@127.0.0.1:1/app"),
        ("CDC_KAFKA__BROKERS", "127.0.0.1:1"),
    ];
    let ended = run(&["doctor", "--json"], &environment).await;
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    let findings = json["findings"].as_array().unwrap();
    tells(findings, "PostgreSQL", "fail", "127.0.0.1:1");
    tells(findings, "Kafka", "fail", "127.0.0.1:1");
    ended.failed(69, "CDC0052");
}

#[tokio::test]
async fn finds_settings_of_a_server_that_endanger_the_slot() {
    let cluster = Cluster::start(
        "wal_level = logical\nwal_sender_timeout = 1s\nmax_replication_slots = 1\nmax_wal_senders = 1",
    )
    .await;
    let database = TestDatabase::create_on(&cluster.url()).await;
    database.run(&["init"]).await.succeeded();
    let (status, findings) = findings(&database, &[]).await;
    assert_eq!(status, 0, "{findings:#?}");
    tells(&findings, "wal_sender_timeout", "warn", "1000 ms");
    tells(
        &findings,
        "disk guard",
        "warn",
        "max_slot_wal_keep_size is -1",
    );
    tells(
        &findings,
        "max_replication_slots",
        "warn",
        "all 1 are in use",
    );
    tells(&findings, "max_wal_senders", "ok", "1 free");
    tells(&findings, "transactions", "ok", "300 s");
    tells(&findings, "clock", "ok", "ms");
    tells(&findings, "version", "ok", &cluster.address);
    assert!(!format!("{findings:?}").contains(PASSWORD));
}

#[tokio::test]
async fn finds_privileges_that_the_role_lacks() {
    let cluster = Cluster::start("wal_level = logical").await;
    let database = TestDatabase::create_on(&cluster.url()).await;
    database.run(&["init"]).await.succeeded();
    let role = unique("bare");
    database
        .execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'opensesame'"))
        .await;
    let url = format!(
        "postgres://{role}:opensesame@{}/{}",
        cluster.address, database.name
    );
    let settings = [
        ("CDC_POSTGRES__URL", url.as_str()),
        ("CDC_OUTBOX__RETENTION", "7d"),
    ];
    let (status, found) = findings(&database, &settings).await;
    assert_eq!(status, 69);
    tells(&found, "role", "fail", "REPLICATION");
    tells(&found, "replication", "fail", &role);
    tells(
        &found,
        "privileges",
        "warn",
        "GRANT USAGE ON SCHEMA cdc and SELECT",
    );
    tells(&found, "retention", "warn", "may not delete");
    tells(&found, "store", "warn", "may not write to cdc.failed_event");
    tells(&found, "visibility", "ok", "pg_read_all_stats");
    assert!(!format!("{found:?}").contains("opensesame"));
}

#[tokio::test]
async fn names_a_pooler() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let server = options(&database.url()).target();
    let (address, _) = server.split_once('/').unwrap();
    let pooler = Pooler::start(address.to_owned()).await;
    let url = database.url_at(&format!("postgres://postgres@{}/any", pooler.address));
    let (status, found) = findings(&database, &[("CDC_POSTGRES__URL", &url)]).await;
    assert_eq!(status, 69);
    tells(&found, "PostgreSQL", "ok", "connected");
    tells(&found, "replication", "fail", "pooler");
}
