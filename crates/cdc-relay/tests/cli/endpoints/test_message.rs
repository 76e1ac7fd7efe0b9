//! `cdc-relay endpoint test`.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::LOOPBACK;
use crate::binary::Ended;
use crate::database::TestDatabase;

/// Answers every request with one status, until it is dropped.
struct Receiver {
    url: String,
    /// The ids of the messages that it got.
    ids: mpsc::Receiver<String>,
    _server: JoinSet<()>,
}

impl Receiver {
    async fn start(status: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (got, ids) = mpsc::channel(16);
        let router = Router::new().fallback(async move |headers: HeaderMap| {
            let id = headers["webhook-id"].to_str().unwrap().to_owned();
            got.send(id).await.unwrap();
            (status, "what it says")
        });
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            ids,
            _server: server,
        }
    }
}

async fn with_endpoint(url: &str) -> TestDatabase {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let add = ["endpoint", "add", "billing", "--url", url];
    database.run_with(&add, &[LOOPBACK]).await.succeeded();
    database
}

async fn test(database: &TestDatabase, more: &[&str]) -> Ended {
    let test = ["endpoint", "test", "billing"];
    database
        .run_with(&[&test, more].concat(), &[LOOPBACK])
        .await
}

#[tokio::test]
async fn succeeds_when_the_message_was_taken() {
    let mut receiver = Receiver::start(StatusCode::ACCEPTED).await;
    let database = with_endpoint(&receiver.url).await;
    let told = test(&database, &[]).await.succeeded();
    let id = receiver.ids.recv().await.unwrap();
    assert!(
        told.starts_with("202 ") && told.contains(&id) && told.contains("what it says"),
        "{told}"
    );
    let told = test(&database, &["--json"]).await.succeeded();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["delivered"], &told["status"]),
        (&true.into(), &202.into())
    );
    assert_eq!(told["id"], receiver.ids.recv().await.unwrap());
}

#[tokio::test]
async fn fails_when_the_message_was_not_taken_and_says_what_was_answered() {
    let receiver = Receiver::start(StatusCode::FORBIDDEN).await;
    let database = with_endpoint(&receiver.url).await;
    let refused = test(&database, &[]).await;
    assert!(
        refused.stdout.starts_with("403 ") && refused.stdout.contains("what it says"),
        "{refused:?}"
    );
    let report = refused.failed(69, "CDC0070");
    assert!(report.contains("did not take the test message"), "{report}");
    let refused = test(&database, &["--json"]).await;
    let told: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(
        (&told["delivered"], &told["status"]),
        (&false.into(), &403.into())
    );
    refused.failed(69, "CDC0070");

    drop(receiver);
    let nobody = test(&database, &[]).await;
    assert!(nobody.stdout.starts_with("no answer "), "{nobody:?}");
    nobody.failed(69, "CDC0070");
    // Its network is not one that may be asked any more.
    let outside = database.run(&["endpoint", "test", "billing"]).await;
    outside.failed(69, "CDC0070");
    let unknown = ["endpoint", "test", "nobody"];
    database.run(&unknown).await.failed(69, "CDC0070");
}
