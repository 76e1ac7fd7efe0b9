//! `status`: both sides of a relay.

use std::time::Duration;

use pg_replication::{ReplicationStream, Session, StreamOptions};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::database::{TestDatabase, options};
use crate::running_relay::{RunningRelay, until};

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

async fn status(database: &TestDatabase, more: &[(&str, &str)]) -> Value {
    let text = database.run_with(&["status", "--json"], more).await;
    serde_json::from_str(&text.succeeded()).unwrap()
}

#[tokio::test]
async fn measures_the_throughput_and_the_lag_of_a_running_relay() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let relay = RunningRelay::start(&database, &[]);
    relay.until_phase("streaming").await;
    let writer = database.connect().await;
    let writing = async {
        loop {
            writer
                .batch_execute("SELECT cdc.emit('order', '1', 'Placed', '{}')")
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let looking = until("the throughput shows", async || {
        let listen = [("CDC_ADMIN__LISTEN", relay.address.as_str())];
        let json = status(&database, &listen).await;
        let rate = json["throughput"]["events_per_second"]
            .as_f64()
            .unwrap_or_default();
        assert!(rate < 1_000.0, "{json}");
        let text = database.run_with(&["status"], &listen).await.succeeded();
        rate > 1.0
            && json["lag_seconds"].is_number()
            && json["pace"]["follows"] == true
            && json["pace"]["confirmed_bytes_per_second"].as_f64().unwrap() > 0.0
            && text.contains("a second now")
    });
    tokio::select! {
        () = looking => {}
        () = writing => unreachable!("it writes for ever"),
    }
}

#[tokio::test]
async fn says_when_a_slot_without_relay_is_lost() {
    let server = Cluster::start("wal_level = logical\nmax_slot_wal_keep_size = 1GB").await;
    let database = TestDatabase::create_on(&server.url()).await;
    database.run(&["init"]).await.succeeded();
    let writer = database.connect().await;
    let writing = async {
        loop {
            let write = "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 100000))";
            writer.batch_execute(write).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let looking = async {
        let json = status(&database, &[]).await;
        let text = database.run(&["status"]).await.succeeded();
        (json, text)
    };
    let (json, text) = tokio::select! {
        looked = looking => looked,
        () = writing => unreachable!("it writes for ever"),
    };
    assert_eq!(json["pace"]["follows"], false, "{json}");
    let left = json["pace"]["seconds_until_lost"].as_f64().unwrap();
    assert!((1.0..100_000.0).contains(&left), "{json}");
    assert!(
        json["lag_seconds"].is_null() && json["throughput"].is_null(),
        "{json}"
    );
    assert!(json["slot"]["safe_bytes"].as_i64().unwrap() > 0, "{json}");
    assert!(text.contains("if it does not move"), "{text}");
}
