//! What answers mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use http_body_util::Full;
use webhook::{Class, Receipt};

use crate::receiver::{Receiver, status};
use crate::setup::{client, send};

#[tokio::test]
async fn every_status_has_its_class() {
    for (code, class) in [
        (200, Class::Delivered),
        (202, Class::Delivered),
        (204, Class::Delivered),
        (299, Class::Delivered),
        (304, Class::Rejected),
        (400, Class::Rejected),
        (403, Class::Rejected),
        (404, Class::Rejected),
        (408, Class::Retry),
        (410, Class::Gone),
        (425, Class::Retry),
        (429, Class::Retry),
        (500, Class::Retry),
        (503, Class::Retry),
        (599, Class::Retry),
        (999, Class::Retry),
    ] {
        let receiver = Receiver::answering(move |_| status(code)).await;
        let attempt = send(&client(), &receiver.url()).await;
        assert_eq!(
            (attempt.class(), attempt.receipt()),
            (class, Receipt::Answered),
            "{code}: {attempt:?}"
        );
        assert_eq!(attempt.status().unwrap().as_u16(), code);
    }
}

#[tokio::test]
async fn never_follows_a_redirect() {
    let visited = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&visited);
    let elsewhere = Receiver::answering(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        status(200)
    })
    .await;
    for code in [301, 302, 303, 307, 308] {
        let location = elsewhere.url();
        let receiver = Receiver::answering(move |_| {
            Response::builder()
                .status(code)
                .header("location", &location)
                .body(Full::default())
                .unwrap()
        })
        .await;
        let attempt = send(&client(), &receiver.url()).await;
        assert_eq!(
            (attempt.class(), attempt.code().as_str()),
            (Class::Rejected, "webhook-redirect")
        );
        assert_eq!(receiver.seen().len(), 1);
    }
    assert_eq!(visited.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn reads_when_to_come_back() {
    for (code, value, expected) in [
        (429, "7", Some(7)),
        (429, "999999", Some(86_400)),
        (429, "Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        (429, "soon", None),
        (503, "7", Some(7)),
        (503, "Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        (503, "-1", None),
    ] {
        let receiver = Receiver::answering(move |_| {
            Response::builder()
                .status(code)
                .header("retry-after", value)
                .body(Full::default())
                .unwrap()
        })
        .await;
        let attempt = send(&client(), &receiver.url()).await;
        assert_eq!(
            attempt.retry_after(),
            expected.map(Duration::from_secs),
            "{code} {value}"
        );
        assert_eq!(attempt.class(), Class::Retry);
    }
}

#[tokio::test]
async fn keeps_what_the_endpoint_says() {
    let receiver = Receiver::answering(|_| {
        Response::builder()
            .status(400)
            .body("no_\0service 안녕".into())
            .unwrap()
    })
    .await;
    let attempt = send(&client(), &receiver.url()).await;
    assert_eq!(attempt.result.unwrap().excerpt, "no_ service 안녕");
}

#[tokio::test]
async fn waits_for_the_answer_behind_informational_ones() {
    let words = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::saying(words).await;
    assert_eq!(
        send(&client(), &receiver.url()).await.class(),
        Class::Delivered
    );
}

#[tokio::test]
async fn takes_an_upgrade_that_nobody_asked_for_as_no_success() {
    let receiver = Receiver::saying(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    )
    .await;
    let attempt = send(&client(), &receiver.url()).await;
    assert_eq!(attempt.class(), Class::Retry, "{attempt:?}");
}

#[tokio::test]
async fn takes_what_is_not_http_as_a_broken_answer() {
    for words in [
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 1000 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "220 mail.example ESMTP\r\n",
        "\0\0\0\0",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
    ] {
        let receiver = Receiver::saying(words).await;
        let attempt = send(&client(), &receiver.url()).await;
        assert_eq!(
            (attempt.class(), attempt.code().as_str(), attempt.receipt()),
            (Class::Retry, "webhook-protocol", Receipt::Unknown),
            "{words:?}: {attempt:?}"
        );
    }
}
