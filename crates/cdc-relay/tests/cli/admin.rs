//! The admin server of a running relay.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio::process::Child;

use crate::binary::command;
use crate::database::TestDatabase;
use crate::services;

const LIMIT: Duration = Duration::from_secs(60);

/// A relay that listens on `address`.
fn relay(database: &TestDatabase, address: &str) -> Child {
    let url = database.url();
    command(
        &["relay"],
        &[
            ("CDC_POSTGRES__URL", &url),
            ("CDC_KAFKA__BROKERS", services::kafka_brokers()),
            ("CDC_RELAY__SLOT", &database.name),
            ("CDC_ADMIN__LISTEN", address),
        ],
    )
    .stderr(std::process::Stdio::null())
    .spawn()
    .unwrap()
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

#[tokio::test]
async fn status_and_probe_see_a_running_relay() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let address = free_address();
    let listen = [("CDC_ADMIN__LISTEN", address.as_str())];
    let mut relay = relay(&database, &address);
    let started = Instant::now();
    loop {
        let ended = database.run_with(&["status"], &listen).await;
        // The slot is looked at before the relay, so it may still be free in the first answers.
        if ended.stdout.contains("streaming for") && ended.stdout.contains("\"cdc-relay\"") {
            assert!(ended.stdout.contains("in flight"), "{ended:?}");
            break;
        }
        assert!(started.elapsed() < LIMIT, "{ended:?}");
    }
    database
        .run_with(&["status", "--probe"], &listen)
        .await
        .succeeded();
    relay.kill().await.unwrap();
    database
        .run_with(&["status", "--probe"], &listen)
        .await
        .failed(69, "CDC0051");
}

#[tokio::test]
async fn an_address_in_use_is_said_before_anything_starts() {
    let database = TestDatabase::create().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let report = database
        .run_with(&["relay"], &[("CDC_ADMIN__LISTEN", &address)])
        .await
        .failed(69, "CDC0050");
    assert!(
        report.contains(&address) && report.contains("`admin.listen`"),
        "{report}"
    );
}
