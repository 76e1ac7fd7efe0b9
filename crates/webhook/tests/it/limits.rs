//! Bodies and headers without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use tokio::io::AsyncWriteExt;
use webhook::{Body, Class, Client, Receipt, Settings};

use crate::receiver::{Receiver, read_request, status};
use crate::setup::{client, send, send_body, settings};

const KEPT: usize = 16 * 1024;

/// Writes until the sender has had enough, and counts what it took.
async fn endless(start: &'static str, chunk: &'static [u8]) -> (Receiver, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let receiver = Receiver::raw(move |mut socket| {
        let counter = Arc::clone(&counter);
        async move {
            read_request(&mut socket).await;
            let mut next = socket.write_all(start.as_bytes()).await;
            while next.is_ok() {
                next = socket.write_all(chunk).await;
                counter.fetch_add(chunk.len(), Ordering::SeqCst);
            }
        }
    })
    .await;
    (receiver, taken)
}

#[tokio::test]
async fn a_body_without_end_is_cut_and_its_connection_closed() {
    for (start, chunk) in [
        ("HTTP/1.1 500 X\r\n\r\n", &[b'x'; 8192][..]),
        (
            "HTTP/1.1 500 X\r\ncontent-length: 10000000\r\n\r\n",
            &[b'x'; 8192],
        ),
        (
            "HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n",
            b"8\r\nxxxxxxxx\r\n",
        ),
    ] {
        let (receiver, taken) = endless(start, chunk).await;
        let client = client();
        let attempt = send(&client, &receiver.url()).await;
        assert_eq!(attempt.class(), Class::Retry);
        assert!(
            attempt.duration < Duration::from_secs(4),
            "{:?}",
            attempt.duration
        );
        let excerpt = attempt.result.unwrap().excerpt;
        assert!(
            (KEPT..KEPT + 4).contains(&excerpt.len()) && excerpt.ends_with('…'),
            "{}",
            excerpt.len()
        );
        // Only the sockets' buffers hold more than what was read.
        assert!(
            taken.load(Ordering::SeqCst) < 10_000_000,
            "{}",
            taken.load(Ordering::SeqCst)
        );
        drop(send(&client, &receiver.url()).await);
        assert_eq!(receiver.connections(), 2);
    }
}

#[tokio::test]
async fn a_success_stays_one_whatever_it_goes_on_to_say() {
    let (receiver, _) = endless("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 8192]).await;
    assert_eq!(
        send(&client(), &receiver.url()).await.class(),
        Class::Delivered
    );
}

#[tokio::test]
async fn headers_without_end_are_no_answer() {
    let (receiver, taken) = endless(
        "HTTP/1.1 200 OK\r\n",
        b"x-header: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
    )
    .await;
    let attempt = send(&client(), &receiver.url()).await;
    assert_eq!(
        (attempt.class(), attempt.code().as_str()),
        (Class::Retry, "webhook-protocol"),
        "{attempt:?}"
    );
    assert!(taken.load(Ordering::SeqCst) < 10_000_000);
}

#[tokio::test]
async fn a_compressed_body_is_never_unpacked() {
    // A gigabyte of zeros, as far as its header goes.
    let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff][..], &[0xed; 1000]].concat();
    let receiver = Receiver::answering(move |_| {
        Response::builder()
            .status(400)
            .header("content-encoding", "gzip")
            .body(bomb.clone().into())
            .unwrap()
    })
    .await;
    let attempt = send(&client(), &receiver.url()).await;
    assert_eq!(
        attempt.result.unwrap().excerpt,
        "(1010 bytes, encoded as gzip)"
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_sent() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let client = Client::new(Settings {
        max_request_bytes: 100,
        ..settings()
    })
    .unwrap();
    let fits = send_body(
        &client,
        &receiver.url(),
        &Body::new("text/plain", vec![b'x'; 100]),
    )
    .await;
    assert_eq!(fits.class(), Class::Delivered);
    let attempt = send_body(
        &client,
        &receiver.url(),
        &Body::new("text/plain", vec![b'x'; 101]),
    )
    .await;
    assert_eq!(
        (attempt.class(), attempt.code().as_str(), attempt.receipt()),
        (Class::Rejected, "webhook-too-large", Receipt::NotSent)
    );
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let body = vec![b'y'; 256 * 1024];
    let attempt = send_body(
        &client(),
        &receiver.url(),
        &Body::new("text/plain", body.clone()),
    )
    .await;
    assert_eq!(attempt.class(), Class::Delivered);
    assert_eq!(receiver.seen()[0].body, body);
}
