//! `doctor`: each finding with what to do.

use serde_json::Value;

use crate::database::TestDatabase;

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
async fn finds_a_publication_that_does_not_carry_the_outbox() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
        .execute("ALTER PUBLICATION cdc_relay SET (publish = 'update')")
        .await;
    let (_, found) = findings(&database, &[]).await;
    assert_eq!(finding(&found, "publication")["code"], "CDC0022");
    database
        .execute("ALTER PUBLICATION cdc_relay SET (publish = 'insert')")
        .await;
    database
        .execute("ALTER PUBLICATION cdc_relay SET TABLE cdc.outbox (id, type)")
        .await;
    let (_, found) = findings(&database, &[]).await;
    let found = finding(&found, "publication");
    assert!(
        found["what"].as_str().unwrap().contains("aggregatetype"),
        "{found}"
    );
}

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
async fn says_what_jsonb_costs() {
    let database = TestDatabase::create().await;
    database
        .execute("CREATE TABLE events (id int, aggregatetype text, aggregateid text, type text, payload jsonb)")
        .await;
    let tables = [("CDC_OUTBOX__TABLES", "public.events")];
    database.run_with(&["init"], &tables).await.succeeded();
    let (status, findings) = findings(&database, &tables).await;
    assert_eq!(status, 0);
    assert_eq!(finding(&findings, "payload")["status"], "warn");
}

#[tokio::test]
async fn finds_a_fixed_topic_that_nobody_creates() {
    let database = TestDatabase::create().await;
    let settings = [
        ("CDC_OUTBOX__TOPIC", database.name.as_str()),
        ("CDC_KAFKA__TOPICS__CREATE", "false"),
    ];
    let (_, findings) = findings(&database, &settings).await;
    assert_eq!(finding(&findings, "topics")["code"], "CDC0042");
}
