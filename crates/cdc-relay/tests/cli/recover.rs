//! `recover`: what an operator sees of failed events, and what becomes of those that cannot be sent.

use std::num::NonZeroU32;

use cdc_event::{ChangeIndex, EventId, Headers, Position};
use cdc_store::{Contents, ErrorReport, FailedEvents, NewFailedEvent, Origin, Target};
use pg_lsn::Lsn;
use serde_json::Value;

use crate::database::{TestDatabase, options};

/// The event at `lsn`, of topic `{database}.orders`, with key 42.
fn event(database: &TestDatabase, lsn: u64) -> NewFailedEvent {
    let mut headers = Headers::new();
    headers.push("id", Some(format!("e{lsn}").into_bytes()));
    NewFailedEvent {
        origin: Origin::Relay {
            system_id: "7123456789012345678".parse().unwrap(),
            slot: "cdc_relay".parse().unwrap(),
            position: Position {
                commit_lsn: Lsn::new(lsn),
                index: ChangeIndex::FIRST,
            },
        },
        event_id: Some(EventId::new(format!("e{lsn}")).unwrap()),
        target: Some(Target {
            topic: format!("{}.orders", database.name),
            partition: None,
        }),
        contents: Contents {
            key: Some(b"42".to_vec()),
            payload: Some(format!("{{\"n\":{lsn}}}").into_bytes()),
            headers,
            timestamp_ms: Some(1_700_000_000_123),
        },
        error: ErrorReport::new(
            "CDC0043",
            "an event is larger than Kafka takes",
            ["broker: too large"],
        ),
        attempts: NonZeroU32::MIN,
        first_failed_at: None,
        dead_letter: None,
    }
}

/// A prepared database whose store has these events, numbered from 1.
async fn with_events(make: impl Fn(&TestDatabase) -> Vec<NewFailedEvent>) -> TestDatabase {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let mut store = FailedEvents::connect(&options(&database.url()))
        .await
        .unwrap();
    store.record(&make(&database)).await.unwrap();
    database
}

async fn json(database: &TestDatabase, arguments: &[&str]) -> Value {
    let text = database.run(arguments).await.succeeded();
    serde_json::from_str(&text).unwrap()
}

async fn statuses(database: &TestDatabase) -> String {
    let sql = "SELECT string_agg(status, ' ' ORDER BY id) FROM cdc.failed_event";
    database.text(sql).await.unwrap()
}

#[tokio::test]
async fn lists_and_shows_what_failed() {
    let database = with_events(|database| vec![event(database, 1), event(database, 2)]).await;
    let listed = database.run(&["recover", "list"]).await.succeeded();
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(
        lines[1].starts_with("2 ") && lines[2].starts_with("1 "),
        "{listed}"
    );
    assert!(
        lines[1].contains("CDC0043") && lines[1].contains("42"),
        "{listed}"
    );

    let listed = json(&database, &["recover", "list", "--limit", "1", "--json"]).await;
    assert_eq!(listed["events"].as_array().unwrap().len(), 1);
    assert_eq!(listed["events"][0]["origin"]["commit_lsn"], "0/2");
    assert!(
        listed["events"][0]["payload"].is_null(),
        "a list has no payloads"
    );
    let next = listed["next"].as_str().unwrap();
    let rest = ["recover", "list", "--limit", "1", "--after", next, "--json"];
    let rest = json(&database, &rest).await;
    assert_eq!(rest["events"][0]["origin"]["commit_lsn"], "0/1");
    assert_eq!(rest["next"], Value::Null);

    let shown = database.run(&["recover", "show", "1"]).await.succeeded();
    for part in [
        "{\"n\":1}",
        "slot cdc_relay at 0/1#0",
        "broker: too large",
        "id: e1",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let shown = json(&database, &["recover", "show", "1", "--json"]).await;
    assert_eq!(shown["payload"], "{\"n\":1}");
    assert_eq!(shown["headers"][0]["value"], "e1");
    assert_eq!(shown["timestamp_ms"], 1_700_000_000_123_i64);

    let report = database
        .run(&["recover", "show", "99"])
        .await
        .failed(64, "CDC0005");
    assert!(report.contains("no failed event 99"), "{report}");
}

#[tokio::test]
async fn discards_what_is_chosen_and_nothing_else() {
    let database = with_events(|database| {
        let mut other = event(database, 3);
        other.contents.key = Some(b"43".to_vec());
        vec![event(database, 1), event(database, 2), other]
    })
    .await;
    let planned = database
        .run(&["recover", "discard", "--key", "42", "--dry-run"])
        .await
        .succeeded();
    assert!(planned.contains("2 events would be discarded"), "{planned}");
    assert_eq!(statuses(&database).await, "open open open");

    let arguments = [
        "recover",
        "discard",
        "2",
        "--note",
        "test data",
        "--by",
        "ann",
    ];
    let told = database.run(&arguments).await.succeeded();
    assert!(told.contains("1 event discarded"), "{told}");
    assert_eq!(statuses(&database).await, "open discarded open");
    let shown = database.run(&["recover", "show", "2"]).await.succeeded();
    assert!(shown.contains("discarded by ann: test data"), "{shown}");

    let listed = json(&database, &["recover", "list", "--json"]).await;
    assert_eq!(
        listed["events"].as_array().unwrap().len(),
        2,
        "what is settled is not listed"
    );
    let listed = json(
        &database,
        &["recover", "list", "--status", "discarded", "--json"],
    )
    .await;
    assert_eq!(listed["events"][0]["note"], "test data");

    let stats = json(&database, &["recover", "stats", "--json"]).await;
    assert_eq!(stats["statuses"][0]["events"], 2);
    assert_eq!(stats["groups"][0]["code"], "CDC0043");
    let text = database.run(&["recover", "stats"]).await.succeeded();
    assert!(text.contains("discarded  1"), "{text}");
}

#[tokio::test]
async fn changes_nothing_unless_it_is_said_which_events_are_meant() {
    let database = with_events(|database| vec![event(database, 1)]).await;
    for action in ["replay", "discard"] {
        let report = database
            .run(&["recover", action])
            .await
            .failed(64, "CDC0005");
        assert!(report.contains("--all"), "{report}");
        let report = database
            .run(&["recover", action, "--limit", "5"])
            .await
            .failed(64, "CDC0005");
        assert!(report.contains("--all"), "{report}");
    }
    assert_eq!(statuses(&database).await, "open");
}

#[tokio::test]
async fn says_of_each_named_event_why_nothing_was_done() {
    let database = with_events(|database| {
        let mut without_record = event(database, 2);
        without_record.target = None;
        vec![event(database, 1), without_record]
    })
    .await;
    database
        .run(&["recover", "discard", "1", "--by", "ann"])
        .await
        .succeeded();
    let ended = database
        .run(&["recover", "replay", "1", "2", "99", "--json"])
        .await;
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    ended.failed(69, "CDC0061");
    let reason = |id: i64| {
        let left = told["left"].as_array().unwrap().iter();
        let mut left = left.filter(|left| left["id"] == id);
        left.next().unwrap()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(told["replayed"].as_array().unwrap().len(), 0);
    assert!(reason(1).contains("discarded, by ann"), "{told}");
    assert!(
        reason(2).contains("no record could be made of it"),
        "{told}"
    );
    assert!(reason(99).contains("no such event"), "{told}");
    assert_eq!(statuses(&database).await, "discarded open");
}

#[tokio::test]
async fn an_event_whose_topic_is_missing_stays_open_with_one_more_attempt() {
    let database = with_events(|database| vec![event(database, 1), event(database, 2)]).await;
    let ended = database
        .run_with(
            &["recover", "replay", "--all"],
            &[("CDC_KAFKA__TOPICS__CREATE", "false")],
        )
        .await;
    assert!(ended.stdout.contains("0 events replayed"), "{ended:?}");
    assert!(
        ended.stdout.contains("1 not replayed: CDC0042"),
        "{ended:?}"
    );
    ended.failed(69, "CDC0061");
    let seen = "SELECT string_agg(status || error_code || attempts, ' ') FROM cdc.failed_event";
    assert_eq!(
        database.text(seen).await.unwrap(),
        "openCDC00422 openCDC00422"
    );
}

#[tokio::test]
async fn holds_no_event_when_kafka_does_not_answer() {
    let database = with_events(|database| vec![event(database, 1)]).await;
    database
        .run_with(
            &["recover", "replay", "--all"],
            &[("CDC_KAFKA__BROKERS", "127.0.0.1:1")],
        )
        .await
        .failed(69, "CDC0040");
    assert_eq!(statuses(&database).await, "open");
}

#[tokio::test]
async fn an_event_that_another_replay_holds_is_left_to_it() {
    let database = with_events(|database| vec![event(database, 1)]).await;
    let hold = "UPDATE cdc.failed_event SET status = 'replaying', status_changed_by = 'ann',
                       lease_token = gen_random_uuid(), lease_until = now() + interval '1 hour'";
    database.execute(hold).await;
    let ended = database.run(&["recover", "replay", "1"]).await;
    assert!(ended.stdout.contains("being replayed by ann"), "{ended:?}");
    ended.failed(69, "CDC0061");
    let listed = database.run(&["recover", "list"]).await.succeeded();
    assert!(listed.contains("replaying"), "{listed}");
    let told = database
        .run(&["recover", "replay", "--all"])
        .await
        .succeeded();
    assert!(told.contains("0 events replayed"), "{told}");
}
