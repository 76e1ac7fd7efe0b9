//! `status`: both sides of a relay.

use std::time::Duration;

use pg_replication::{ReplicationStream, Session, StreamOptions};
use serde_json::Value;

use crate::database::{TestDatabase, options};

#[tokio::test]
async fn shows_the_slot_and_that_no_relay_runs() {
    let database = TestDatabase::create().await;
    let text = database.run(&["status"]).await.succeeded();
    assert!(text.contains("does not exist"), "{text}");
    database.run(&["init"]).await.succeeded();
    let text = database.run(&["status"]).await.succeeded();
    assert!(
        text.contains(&database.name) && text.contains("nobody"),
        "{text}"
    );
    let json: Value =
        serde_json::from_str(&database.run(&["status", "--json"]).await.succeeded()).unwrap();
    assert_eq!(json["slot"]["plugin"], "pgoutput");
    assert_eq!(json["slot"]["wal_status"], "reserved");
    assert!(
        json["slot"]["lag_bytes"].is_i64() && json["relay"].is_null(),
        "{json}"
    );
}

#[tokio::test]
async fn shows_who_holds_the_slot() {
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
    let json: Value =
        serde_json::from_str(&database.run(&["status", "--json"]).await.succeeded()).unwrap();
    assert_eq!(json["slot"]["holder"]["application_name"], "somebody-else");
    assert_eq!(json["slot"]["holder"]["client_addr"], "127.0.0.1");
    let text = database.run(&["status"]).await.succeeded();
    assert!(
        text.contains("somebody-else") && text.contains("from 127.0.0.1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_probe_fails_when_no_relay_answers() {
    let database = TestDatabase::create().await;
    let listen = [("CDC_ADMIN__LISTEN", "127.0.0.1:1")];
    database
        .run_with(&["status", "--probe"], &listen)
        .await
        .failed(69, "CDC0051");
    database
        .run(&["status", "--probe"])
        .await
        .failed(69, "CDC0051");
}
