//! One deadline covers everything.

use std::future::pending;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, interval};
use webhook::{Class, Client, Lookup, Receipt, Resolve, Settings};

use crate::receiver::{Receiver, read_request};
use crate::setup::{send, settings};

const LIMIT: Duration = Duration::from_millis(300);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(2);

fn hasty() -> Client {
    Client::new(Settings {
        timeout: LIMIT,
        ..settings()
    })
    .unwrap()
}

/// Writes the bytes slowly, for ever.
async fn drip(socket: &mut TcpStream, start: &str, drop: &[u8]) {
    read_request(socket).await;
    let mut tick = interval(Duration::from_millis(20));
    let mut next = socket.write_all(start.as_bytes()).await;
    while next.is_ok() {
        tick.tick().await;
        next = socket.write_all(drop).await;
    }
}

fn assert_in_time(begun: Instant) {
    let took = begun.elapsed();
    assert!((LIMIT..LIMIT + SLACK).contains(&took), "{took:?}");
}

#[tokio::test]
async fn an_endpoint_that_accepts_and_never_answers_has_its_time() {
    let receiver = Receiver::raw(|socket| async move {
        pending::<()>().await;
        drop(socket);
    })
    .await;
    let begun = Instant::now();
    let attempt = send(&hasty(), &receiver.url()).await;
    assert_in_time(begun);
    assert_eq!(
        (attempt.class(), attempt.code().as_str(), attempt.receipt()),
        (Class::Retry, "webhook-timeout", Receipt::Unknown)
    );
}

#[tokio::test]
async fn slow_headers_have_the_same_time() {
    for start in [
        "",
        "HTTP/1.1 200 OK\r\nx: ",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx: ",
    ] {
        let receiver =
            Receiver::raw(move |mut socket| async move { drip(&mut socket, start, b"H").await })
                .await;
        let begun = Instant::now();
        let attempt = send(&hasty(), &receiver.url()).await;
        if start.is_empty() {
            // Letters without end are no status line.
            assert!(
                matches!(
                    attempt.code().as_str(),
                    "webhook-timeout" | "webhook-protocol"
                ),
                "{attempt:?}"
            );
        } else {
            assert_in_time(begun);
            assert_eq!(attempt.code().as_str(), "webhook-timeout", "{attempt:?}");
        }
    }
}

#[tokio::test]
async fn informational_answers_without_end_have_the_same_time() {
    let receiver = Receiver::raw(|mut socket| async move {
        drip(&mut socket, "", b"HTTP/1.1 102 Processing\r\n\r\n").await;
    })
    .await;
    let begun = Instant::now();
    let attempt = send(&hasty(), &receiver.url()).await;
    assert_in_time(begun);
    assert_eq!(attempt.code().as_str(), "webhook-timeout");
}

#[tokio::test]
async fn a_slow_body_has_the_same_time_and_the_status_decides() {
    for (code, class) in [(500, Class::Retry), (404, Class::Rejected)] {
        let start = format!("HTTP/1.1 {code} X\r\ncontent-length: 100000\r\n\r\n");
        let receiver = Receiver::raw(move |mut socket| {
            let start = start.clone();
            async move { drip(&mut socket, &start, b"x").await }
        })
        .await;
        let begun = Instant::now();
        let attempt = send(&hasty(), &receiver.url()).await;
        assert_in_time(begun);
        assert_eq!(attempt.class(), class);
        assert!(attempt.result.unwrap().excerpt.starts_with('x'));
    }
}

#[tokio::test]
async fn a_success_does_not_wait_long_for_a_slow_body() {
    let start = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
    let receiver =
        Receiver::raw(move |mut socket| async move { drip(&mut socket, start, b"x").await }).await;
    let patient = Client::new(Settings {
        timeout: Duration::from_secs(60),
        ..settings()
    })
    .unwrap();
    let begun = Instant::now();
    let attempt = send(&patient, &receiver.url()).await;
    assert_eq!(attempt.class(), Class::Delivered);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn an_encrypted_endpoint_that_never_shakes_hands_was_sent_nothing() {
    let receiver = Receiver::raw(|socket| async move {
        pending::<()>().await;
        drop(socket);
    })
    .await;
    let begun = Instant::now();
    let attempt = send(&hasty(), &receiver.https_url()).await;
    assert_in_time(begun);
    assert_eq!(
        (attempt.code().as_str(), attempt.receipt()),
        ("webhook-connection-timeout", Receipt::NotSent)
    );
}

#[tokio::test]
async fn connection_and_encryption_have_less_than_all_the_time() {
    let receiver = Receiver::raw(|socket| async move {
        pending::<()>().await;
        drop(socket);
    })
    .await;
    let client = Client::new(Settings {
        timeout: Duration::from_secs(60),
        connect_timeout: LIMIT,
        ..settings()
    })
    .unwrap();
    let begun = Instant::now();
    let attempt = send(&client, &receiver.https_url()).await;
    assert_in_time(begun);
    assert_eq!(attempt.code().as_str(), "webhook-connection-timeout");
}

struct Silent;

impl Resolve for Silent {
    fn lookup<'a>(&'a self, _: &'a str) -> Lookup<'a> {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn a_resolver_that_never_answers_has_the_same_time() {
    let client = Client::with_resolver(
        Settings {
            timeout: LIMIT,
            ..settings()
        },
        Silent,
    )
    .unwrap();
    let begun = Instant::now();
    let attempt = send(&client, "http://hook.example/").await;
    assert_in_time(begun);
    assert_eq!(
        (attempt.code().as_str(), attempt.receipt()),
        ("webhook-dns-timeout", Receipt::NotSent)
    );
}
