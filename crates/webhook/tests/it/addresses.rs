//! Which addresses are asked.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use webhook::{
    Class, Client, Guard, GuardSettings, LookupError, Receipt, Refusal, SendError, Settings,
};

use crate::receiver::{Receiver, status};
use crate::setup::{Scripted, send, settings};

const HERE: [u8; 4] = [127, 0, 0, 1];

fn client(
    lookup: impl Fn(&str) -> Result<Vec<IpAddr>, LookupError> + Send + Sync + 'static,
) -> Client {
    Client::with_resolver(settings(), Scripted(lookup)).unwrap()
}

#[tokio::test]
async fn refuses_names_whose_addresses_are_not_public() {
    let strict = Settings {
        guard: Guard::default(),
        ..settings()
    };
    let client = Client::with_resolver(strict, Scripted(|_: &str| Ok(vec![HERE.into()]))).unwrap();
    for url in [
        "http://127.0.0.1.nip.io/",
        "http://localhost./",
        "https://hook.example:8443/",
    ] {
        let attempt = send(&client, url).await;
        assert_eq!(
            (attempt.class(), attempt.code().as_str(), attempt.receipt()),
            (Class::Rejected, "webhook-refused", Receipt::NotSent),
            "{url}"
        );
    }
}

#[tokio::test]
async fn refuses_an_answer_that_mixes_public_and_other_addresses() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let url = format!("http://hook.example:{}/", receiver.address.port());
    let refused = client(|_| Ok(vec![HERE.into(), [10, 0, 0, 1].into()]));
    let attempt = send(&refused, &url).await;
    assert!(
        matches!(
            attempt.result,
            Err(SendError::Refused(Refusal::Address {
                kind: "private",
                ..
            }))
        ),
        "{attempt:?}"
    );
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn connects_to_the_address_that_was_vetted() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let url = format!("http://hook.example:{}/hook", receiver.address.port());
    let lookups = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&lookups);
    // The second answer is where an attacker wants to get to: it must never be asked for within an attempt.
    let rebinding = client(move |_| match counter.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(vec![HERE.into()]),
        _ => Ok(vec![[169, 254, 169, 254].into()]),
    });
    assert_eq!(send(&rebinding, &url).await.class(), Class::Delivered);
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    assert_eq!(
        receiver.seen()[0].headers["host"],
        format!("hook.example:{}", receiver.address.port()).as_str()
    );
}

#[tokio::test]
async fn a_kept_connection_does_not_outlive_the_answer_of_dns() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let url = format!("http://hook.example:{}/hook", receiver.address.port());
    let lookups = AtomicUsize::new(0);
    let resolver = Scripted(
        move |_: &str| match lookups.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Ok(vec![HERE.into()]),
            _ => Ok(vec![[10, 0, 0, 1].into()]),
        },
    );
    let client = Client::with_resolver(
        Settings {
            dns_cache: Duration::ZERO,
            ..settings()
        },
        resolver,
    )
    .unwrap();
    assert_eq!(send(&client, &url).await.class(), Class::Delivered);
    assert_eq!(send(&client, &url).await.class(), Class::Delivered);
    assert_eq!(send(&client, &url).await.class(), Class::Rejected);
    assert_eq!((receiver.connections(), receiver.seen().len()), (1, 2));
}

#[tokio::test]
async fn a_kept_connection_is_not_used_once_the_host_has_moved() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let url = format!("http://hook.example:{}/hook", receiver.address.port());
    let lookups = AtomicUsize::new(0);
    let resolver = Scripted(
        move |_: &str| match lookups.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(vec![HERE.into()]),
            _ => Ok(vec![[127, 0, 0, 77].into()]),
        },
    );
    let client = Client::with_resolver(
        Settings {
            dns_cache: Duration::ZERO,
            ..settings()
        },
        resolver,
    )
    .unwrap();
    assert_eq!(send(&client, &url).await.class(), Class::Delivered);
    // Nothing listens there.
    assert_eq!(
        send(&client, &url).await.code().as_str(),
        "webhook-connection-refused"
    );
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn tries_the_next_address_if_one_refuses() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let url = format!("http://hook.example:{}/", receiver.address.port());
    let two = client(|_| Ok(vec![[127, 0, 0, 77].into(), HERE.into()]));
    assert_eq!(send(&two, &url).await.class(), Class::Delivered);
}

#[tokio::test]
async fn tells_a_name_that_does_not_exist_from_dns_that_is_down() {
    for (error, code) in [
        (LookupError::NotFound, "webhook-dns-not-found"),
        (LookupError::Unavailable, "webhook-dns-unavailable"),
    ] {
        let attempt = send(&client(move |_| Err(error)), "http://hook.example/").await;
        assert_eq!(
            (attempt.class(), attempt.code().as_str(), attempt.receipt()),
            (Class::Retry, code, Receipt::NotSent)
        );
    }
    let attempt = send(&client(|_| Ok(Vec::new())), "http://hook.example/").await;
    assert_eq!(attempt.code().as_str(), "webhook-dns-not-found");
}

#[tokio::test]
async fn the_operating_system_is_asked_without_hanging() {
    let system = Client::new(settings()).unwrap();
    let attempt = send(&system, "http://no-such-host.invalid/").await;
    assert_eq!(
        (attempt.class(), attempt.receipt()),
        (Class::Retry, Receipt::NotSent)
    );
    assert!(
        attempt.code().as_str().starts_with("webhook-dns-"),
        "{attempt:?}"
    );
    let receiver = Receiver::answering(|_| status(200)).await;
    let attempt = send(
        &system,
        &format!("http://localhost:{}/", receiver.address.port()),
    )
    .await;
    assert_eq!(attempt.class(), Class::Delivered);
}

#[tokio::test]
async fn never_asks_dns_about_an_address() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let client = client(|host| panic!("asked for {host}"));
    assert_eq!(
        send(&client, &receiver.url()).await.class(),
        Class::Delivered
    );
}

#[tokio::test]
async fn never_asks_itself() {
    let receiver = Receiver::answering(|_| status(200)).await;
    let target = settings().guard.check_url(&receiver.url()).unwrap();
    let guard = Guard::new(GuardSettings {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        own: vec![receiver.address],
        ..GuardSettings::default()
    });
    let client = Client::new(Settings {
        guard,
        ..settings()
    })
    .unwrap();
    // The target was checked before this program listened there: each attempt checks again.
    let attempt = client
        .send(&webhook::Request {
            target: &target,
            id: &webhook::WebhookId::new("1").unwrap(),
            at: std::time::SystemTime::now(),
            secrets: None,
            body: &webhook::Body::new("text/plain", &b""[..]),
            headers: &webhook::ExtraHeaders::default(),
        })
        .await;
    assert!(
        matches!(attempt.result, Err(SendError::Refused(Refusal::Own { .. }))),
        "{attempt:?}"
    );
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn no_proxy_of_the_environment_is_asked() {
    // In a process of its own, since the environment belongs to all tests.
    if std::env::var_os("CDC_TEST_WITH_PROXY").is_some() {
        let receiver = Receiver::answering(|_| status(200)).await;
        assert_eq!(
            send(&Client::new(settings()).unwrap(), &receiver.url())
                .await
                .class(),
            Class::Delivered
        );
        return;
    }
    let proxy = Receiver::answering(|_| status(200)).await;
    let mut test = tokio::process::Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "addresses::no_proxy_of_the_environment_is_asked"])
        .env("CDC_TEST_WITH_PROXY", "1");
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        test.env(name, format!("http://{}", proxy.address));
    }
    assert!(test.output().await.unwrap().status.success());
    assert_eq!(proxy.connections(), 0);
}
