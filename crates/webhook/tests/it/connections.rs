//! Connections are kept, in bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::timeout;
use webhook::{Class, Client, Connection, Settings};

use crate::receiver::{Receiver, read_request, status};
use crate::setup::{client, send, settings};

#[tokio::test]
async fn requests_to_one_origin_share_a_connection() {
    let receiver = Receiver::answering(|_| Response::new("fine".into())).await;
    let client = client();
    for number in 0..20 {
        let attempt = send(&client, &receiver.url()).await;
        let expected = if number == 0 {
            Connection::Fresh
        } else {
            Connection::Reused
        };
        assert_eq!(
            (attempt.class(), attempt.connection),
            (Class::Delivered, Some(expected)),
            "{number}"
        );
    }
    assert_eq!((receiver.connections(), receiver.seen().len()), (1, 20));
}

#[tokio::test]
async fn a_request_never_waits_for_the_connection_of_another() {
    let released = Arc::new(Notify::new());
    let arrived = Arc::new(AtomicUsize::new(0));
    let (release, counter) = (Arc::clone(&released), Arc::clone(&arrived));
    let receiver = Receiver::raw(move |mut socket| {
        let (release, counter) = (Arc::clone(&release), Arc::clone(&counter));
        async move {
            read_request(&mut socket).await;
            // The first answers only once the second has come.
            if counter.fetch_add(1, Ordering::SeqCst) == 0 {
                release.notified().await;
            } else {
                release.notify_one();
            }
            drop(
                socket
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .await,
            );
        }
    })
    .await;
    let client = client();
    let (url, same) = (receiver.url(), receiver.url());
    let (one, two) = tokio::join!(send(&client, &url), send(&client, &same));
    assert_eq!(
        (one.class(), two.class()),
        (Class::Delivered, Class::Delivered)
    );
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_no_request() {
    let receiver = Receiver::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let client = client();
    for number in 1..=10 {
        let attempt = send(&client, &receiver.url()).await;
        assert_eq!(
            (attempt.class(), receiver.connections()),
            (Class::Delivered, number),
            "{attempt:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_was_not_asked_for_is_not_taken_for_the_next() {
    let receiver = Receiver::raw(|mut socket| async move {
        read_request(&mut socket).await;
        let both = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n";
        drop(socket.write_all(both).await);
        read_request(&mut socket).await;
    })
    .await;
    let client = client();
    assert_eq!(
        send(&client, &receiver.url()).await.class(),
        Class::Delivered
    );
    assert_eq!(
        send(&client, &receiver.url()).await.class(),
        Class::Delivered
    );
    assert_eq!(receiver.connections(), 2);
}

/// A receiver that reports the connections that end.
async fn counting_ends() -> (Receiver, tokio::sync::mpsc::Receiver<()>) {
    let (ended, ends) = tokio::sync::mpsc::channel(100);
    let receiver = Receiver::raw(move |mut socket| {
        let ended = ended.clone();
        async move {
            let mut bytes = Vec::new();
            while socket.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
                if bytes.ends_with(b"{\"test\": 2432232314}") {
                    bytes.clear();
                    drop(
                        socket
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                            .await,
                    );
                }
            }
            ended.send(()).await.ok();
        }
    })
    .await;
    (receiver, ends)
}

async fn one_ends(ends: &mut tokio::sync::mpsc::Receiver<()>) {
    timeout(Duration::from_secs(10), ends.recv())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let (receiver, mut ends) = counting_ends().await;
    let client = Client::new(Settings {
        idle_timeout: Duration::from_millis(200),
        ..settings()
    })
    .unwrap();
    assert_eq!(
        send(&client, &receiver.url()).await.class(),
        Class::Delivered
    );
    one_ends(&mut ends).await;
}

#[tokio::test]
async fn idle_connections_are_bounded_over_all_endpoints() {
    let mut receivers = Vec::new();
    for _ in 0..3 {
        receivers.push(counting_ends().await);
    }
    let client = Client::new(Settings {
        max_idle: 2,
        ..settings()
    })
    .unwrap();
    for (receiver, _) in &receivers {
        assert_eq!(
            send(&client, &receiver.url()).await.class(),
            Class::Delivered
        );
    }
    // The one that has waited longest had to go; the others are still there.
    one_ends(&mut receivers[0].1).await;
    for (receiver, _) in &receivers[1..] {
        assert_eq!(
            send(&client, &receiver.url()).await.connection,
            Some(Connection::Reused)
        );
    }
}

#[tokio::test]
async fn no_connection_is_kept_if_none_may_be() {
    let (receiver, mut ends) = counting_ends().await;
    let client = Client::new(Settings {
        max_idle: 0,
        ..settings()
    })
    .unwrap();
    for number in 1..=2 {
        assert_eq!(
            send(&client, &receiver.url()).await.class(),
            Class::Delivered
        );
        one_ends(&mut ends).await;
        assert_eq!(receiver.connections(), number);
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_closes_its_connection() {
    let (ended, mut ends) = tokio::sync::mpsc::channel(1);
    let arrived = Arc::new(Notify::new());
    let arrival = Arc::clone(&arrived);
    let receiver = Receiver::raw(move |mut socket| {
        let (ended, arrival) = (ended.clone(), Arc::clone(&arrival));
        async move {
            read_request(&mut socket).await;
            arrival.notify_one();
            drop(socket.read_u8().await);
            ended.send(()).await.ok();
        }
    })
    .await;
    let (client, url) = (client(), receiver.url());
    tokio::select! {
        attempt = send(&client, &url) => panic!("{attempt:?}"),
        () = arrived.notified() => {}
    }
    one_ends(&mut ends).await;
}

#[tokio::test]
async fn connections_end_with_their_client() {
    let (receiver, mut ends) = counting_ends().await;
    let client = client();
    assert_eq!(
        send(&client, &receiver.url()).await.class(),
        Class::Delivered
    );
    drop(client);
    one_ends(&mut ends).await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_it_gets_a_new_connection_each_time() {
    let receiver = Receiver::answering(|_| {
        let mut answer = status(200);
        answer
            .headers_mut()
            .insert("connection", "close".parse().unwrap());
        answer
    })
    .await;
    let client = client();
    for number in 1..=3 {
        assert_eq!(
            send(&client, &receiver.url()).await.class(),
            Class::Delivered
        );
        assert_eq!(receiver.connections(), number);
    }
}
