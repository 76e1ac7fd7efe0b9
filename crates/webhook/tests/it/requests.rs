//! What arrives.

use std::time::{Duration, SystemTime};

use http::{Method, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use webhook::{Body, Class, Client, ExtraHeaders, Format, Message, Request, Settings, WebhookId};

use crate::receiver::{Receiver, Seen, status};
use crate::setup::{client, send, settings};

fn message(data: &[u8]) -> Message<'_> {
    Message {
        id: "e-1",
        kind: "post.created",
        timestamp: SystemTime::UNIX_EPOCH,
        source: "/blog",
        subject: Some("ann"),
        data,
    }
}

async fn one_request(format: &Format, data: &[u8]) -> Seen {
    let receiver = Receiver::answering(|_| status(200)).await;
    let client = client();
    let message = message(data);
    let mut headers = ExtraHeaders::default();
    headers.set("authorization", "Bearer x").unwrap();
    headers.set("traceparent", "00-1-2-01").unwrap();
    let attempt = client
        .send(&Request {
            target: &client
                .guard()
                .check_url(&format!("{}/a%20b?token=1", receiver.url()))
                .unwrap(),
            id: &WebhookId::new(message.id).unwrap(),
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_614_265_330_999),
            secrets: None,
            body: &format.body(&message).unwrap(),
            headers: &headers,
        })
        .await;
    assert_eq!(attempt.class(), Class::Delivered, "{attempt:?}");
    let host = receiver.address.to_string();
    let [seen] = <[Seen; 1]>::try_from(receiver.seen()).unwrap();
    assert_eq!(seen.headers["host"], host);
    seen
}

#[tokio::test]
async fn sends_a_post_with_the_headers_of_the_contract() {
    let seen = one_request(&Format::Json, b"{\"title\": \"Hi\"}").await;
    assert_eq!(
        (seen.method, seen.version),
        (Method::POST, Version::HTTP_11)
    );
    assert_eq!(seen.uri, "/hook/a%20b?token=1");
    for (name, value) in [
        ("content-type", "application/json"),
        ("webhook-id", "e-1"),
        ("webhook-timestamp", "1614265330"),
        (
            "user-agent",
            concat!("cdc-relay/", env!("CARGO_PKG_VERSION")),
        ),
        ("authorization", "Bearer x"),
        ("traceparent", "00-1-2-01"),
    ] {
        assert_eq!(seen.headers[name], value, "{name}");
    }
    for name in ["webhook-signature", "accept-encoding", "accept"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(
        seen.body,
        r#"{"id":"e-1","type":"post.created","timestamp":"1970-01-01T00:00:00.000Z","subject":"ann","data":{"title": "Hi"}}"#
    );
}

#[tokio::test]
async fn signs_what_it_sends() {
    let receiver = Receiver::answering(|_| status(204)).await;
    assert_eq!(
        send(&client(), &receiver.url()).await.class(),
        Class::Delivered
    );
    let seen = &receiver.seen()[0];
    assert_eq!(seen.headers["webhook-id"], "msg_p5jXN8AQM9LWM0D4loKWxJek");
    assert_eq!(seen.headers["webhook-timestamp"], "1614265330");
    assert_eq!(
        seen.headers["webhook-signature"],
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
    assert_eq!(seen.body, "{\"test\": 2432232314}");
}

/// The head of a request as it was sent, byte for byte.
async fn head(settings: Settings) -> String {
    let (sender, mut heads) = mpsc::channel(1);
    let receiver = Receiver::raw(move |mut socket| {
        let sender = sender.clone();
        async move {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"}") && socket.read_buf(&mut bytes).await.unwrap() > 0 {}
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(answer).await.unwrap();
            sender
                .send(String::from_utf8(bytes).unwrap())
                .await
                .unwrap();
        }
    })
    .await;
    let client = Client::new(settings).unwrap();
    assert_eq!(
        send(&client, &receiver.url()).await.class(),
        Class::Delivered
    );
    heads.recv().await.unwrap()
}

#[tokio::test]
async fn names_of_headers_are_capitalized_only_if_asked_for() {
    let names = [
        "Webhook-Id: ",
        "Webhook-Signature: ",
        "Content-Type: ",
        "Host: ",
    ];
    let lower = head(settings()).await;
    let title = head(Settings {
        title_case_headers: true,
        ..settings()
    })
    .await;
    for name in names {
        assert!(
            title.contains(name) && !lower.contains(name),
            "{title}{lower}"
        );
        assert!(lower.contains(&name.to_lowercase()), "{lower}");
    }
}

#[tokio::test]
async fn says_who_it_is_as_it_was_told_to() {
    let head = head(Settings {
        user_agent: "shop.example/7 (hooks)".into(),
        ..settings()
    })
    .await;
    assert!(
        head.contains("user-agent: shop.example/7 (hooks)\r\n") && !head.contains("cdc-relay"),
        "{head}"
    );
}

#[tokio::test]
async fn tells_jandi_what_it_asks_for() {
    let seen = one_request(&Format::Jandi, b"{\"title\":\"Hi\"}").await;
    assert_eq!(
        seen.headers["accept"],
        "application/vnd.tosslab.jandi-v2+json"
    );
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.body, r##"{"body":"Hi","connectColor":"#FAC11B"}"##);
}

#[tokio::test]
async fn names_cloud_events_by_their_media_type() {
    let seen = one_request(&Format::CloudEvents, b"1").await;
    assert_eq!(seen.headers["content-type"], "application/cloudevents+json");
}

#[tokio::test]
async fn sends_an_empty_body() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let attempt = crate::setup::send_body(
        &client(),
        &receiver.url(),
        &Body::new("text/plain", &b""[..]),
    )
    .await;
    assert_eq!(attempt.class(), Class::Delivered);
    assert_eq!(
        receiver.seen()[0].headers["webhook-signature"],
        "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A="
    );
}

#[tokio::test]
async fn a_request_does_not_carry_along_what_only_a_new_connection_needs() {
    let client = client();
    let message = message(b"1");
    let request = Request {
        target: &client.guard().check_url("http://127.0.0.1:8080/").unwrap(),
        id: &WebhookId::new(message.id).unwrap(),
        at: SystemTime::UNIX_EPOCH,
        secrets: None,
        body: &Format::Json.body(&message).unwrap(),
        headers: &ExtraHeaders::default(),
    };
    let bytes = size_of_val(&client.send(&request));
    assert!(bytes <= 4096, "{bytes} bytes are moved for each request");
}
