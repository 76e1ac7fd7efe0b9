//! Endpoints that cannot be reached, and what the sender knows of its request then.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use webhook::{Class, Connection, Receipt};

use crate::receiver::{Receiver, read_request};
use crate::setup::{client, send};

async fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn a_refused_connection_was_sent_nothing() {
    let attempt = send(&client(), &format!("http://{}/", unused_address().await)).await;
    assert_eq!(
        (attempt.class(), attempt.code().as_str(), attempt.receipt()),
        (Class::Retry, "webhook-connection-refused", Receipt::NotSent)
    );
    assert!(attempt.connection.is_none());
}

#[tokio::test]
async fn an_endpoint_that_hangs_up_after_the_request_may_have_it() {
    let receiver = Receiver::raw(|mut socket| async move { read_request(&mut socket).await }).await;
    let attempt = send(&client(), &receiver.url()).await;
    assert_eq!(
        (attempt.class(), attempt.code().as_str(), attempt.receipt()),
        (Class::Retry, "webhook-closed", Receipt::Unknown),
        "{attempt:?}"
    );
    // A sender that tries again by itself would have opened a second one.
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn an_endpoint_that_resets_the_connection_may_have_the_request() {
    let receiver = Receiver::raw(|mut socket| async move {
        read_request(&mut socket).await;
        socket.set_zero_linger().unwrap();
    })
    .await;
    let attempt = send(&client(), &receiver.url()).await;
    assert_eq!(
        (attempt.code().as_str(), attempt.receipt()),
        ("webhook-closed", Receipt::Unknown),
        "{attempt:?}"
    );
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_headers_is_none() {
    let receiver = Receiver::saying("HTTP/1.1 200 OK\r\ncontent-le").await;
    let attempt = send(&client(), &receiver.url()).await;
    assert_eq!(
        (attempt.class(), attempt.receipt()),
        (Class::Retry, Receipt::Unknown),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_body_has_its_status() {
    let receiver = Receiver::saying("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc").await;
    let attempt = send(&client(), &receiver.url()).await;
    assert_eq!(attempt.class(), Class::Delivered);
    assert_eq!(attempt.result.unwrap().excerpt, "abc…");
}

#[tokio::test]
async fn a_client_that_is_closed_sends_nothing_and_ends_its_connections() {
    let receiver = Receiver::answering(|_| crate::receiver::status(200)).await;
    let client = client();
    assert_eq!(
        send(&client, &receiver.url()).await.class(),
        Class::Delivered
    );
    client.close().await;
    let attempt = send(&client, &receiver.url()).await;
    assert_eq!(
        (attempt.class(), attempt.receipt()),
        (Class::Retry, Receipt::NotSent),
        "{attempt:?}"
    );
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_request_over_a_kept_connection_is_not_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let receiver = Receiver::raw(move |mut socket| {
        let counter = Arc::clone(&counter);
        async move {
            read_request(&mut socket).await;
            counter.fetch_add(1, Ordering::SeqCst);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(answer).await.unwrap();
            read_request(&mut socket).await;
            counter.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let client = client();
    assert_eq!(
        send(&client, &receiver.url()).await.class(),
        Class::Delivered
    );
    let attempt = send(&client, &receiver.url()).await;
    assert_eq!(
        (attempt.connection, attempt.receipt()),
        (Some(Connection::Reused), Receipt::Unknown),
        "{attempt:?}"
    );
    assert_eq!(
        (receiver.connections(), requests.load(Ordering::SeqCst)),
        (1, 2)
    );
}
