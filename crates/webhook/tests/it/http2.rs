//! HTTP/2, where both sides have it.

use std::future::pending;
use std::time::Duration;

use http::{Response, Version};
use webhook::{Class, Client, Receipt, Settings};

use crate::certificates::Authority;
use crate::receiver::{Receiver, status};
use crate::setup::send;

#[tokio::test]
async fn is_used_if_the_endpoint_has_it() {
    let authority = Authority::new();
    let receiver = Receiver::encrypted(
        authority.acceptor(&["localhost"], &["h2", "http/1.1"]),
        |_| status(200),
    )
    .await;
    let client = authority.client();
    for _ in 0..10 {
        assert_eq!(
            send(&client, &receiver.https_url()).await.class(),
            Class::Delivered
        );
    }
    assert_eq!(receiver.connections(), 1);
    for seen in receiver.seen() {
        assert_eq!(seen.version, Version::HTTP_2);
        assert_eq!(seen.uri.authority().unwrap().host(), "localhost");
        assert_eq!(
            seen.headers["webhook-signature"],
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert!(!seen.headers.contains_key("host"));
    }
}

#[tokio::test]
async fn carries_many_requests_at_once() {
    let authority = Authority::new();
    let receiver =
        Receiver::encrypted(authority.acceptor(&["localhost"], &["h2"]), |_| status(200)).await;
    let (client, url) = (authority.client(), receiver.https_url());
    assert_eq!(send(&client, &url).await.class(), Class::Delivered);
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (client, url) = (client.clone(), url.clone());
        sends.spawn(async move { send(&client, &url).await.class() });
    }
    assert!(
        sends
            .join_all()
            .await
            .into_iter()
            .all(|class| class == Class::Delivered)
    );
    assert_eq!((receiver.connections(), receiver.seen().len()), (1, 51));
}

#[tokio::test]
async fn is_not_offered_if_it_is_switched_off() {
    let authority = Authority::new();
    let receiver = Receiver::encrypted(
        authority.acceptor(&["localhost"], &["h2", "http/1.1"]),
        |_| status(200),
    )
    .await;
    let client = Client::new(Settings {
        http2: false,
        ..authority.settings()
    })
    .unwrap();
    assert_eq!(
        send(&client, &receiver.https_url()).await.class(),
        Class::Delivered
    );
    assert_eq!(receiver.seen()[0].version, Version::HTTP_11);
}

#[tokio::test]
async fn a_large_answer_is_cut_and_the_connection_goes_on() {
    let authority = Authority::new();
    let receiver = Receiver::encrypted(authority.acceptor(&["localhost"], &["h2"]), |_| {
        Response::builder()
            .status(500)
            .body(vec![b'x'; 10_000_000].into())
            .unwrap()
    })
    .await;
    let client = authority.client();
    for _ in 0..3 {
        let attempt = send(&client, &receiver.https_url()).await;
        assert_eq!(attempt.class(), Class::Retry);
        assert!(attempt.result.unwrap().excerpt.len() < 17_000);
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn never_follows_a_redirect() {
    let authority = Authority::new();
    let receiver = Receiver::encrypted(authority.acceptor(&["localhost"], &["h2"]), |_| {
        Response::builder()
            .status(307)
            .header("location", "/elsewhere")
            .body(Default::default())
            .unwrap()
    })
    .await;
    assert_eq!(
        send(&authority.client(), &receiver.https_url())
            .await
            .class(),
        Class::Rejected
    );
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_connection_that_has_gone_silent_is_not_used_again() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["localhost"], &["h2"]);
    let receiver = Receiver::raw(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(socket).await;
            pending::<()>().await;
            drop(stream);
        }
    })
    .await;
    let hasty = Settings {
        timeout: Duration::from_millis(300),
        ..authority.settings()
    };
    let client = Client::new(hasty).unwrap();
    for number in 1..=3 {
        let attempt = send(&client, &receiver.https_url()).await;
        assert_eq!(
            (attempt.code().as_str(), attempt.receipt()),
            ("webhook-timeout", Receipt::Unknown)
        );
        assert_eq!(receiver.connections(), number);
    }
}
