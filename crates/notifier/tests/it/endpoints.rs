//! The operator's side.

use std::sync::Arc;
use std::time::Duration;

use notifier::{
    EndpointId, Endpoints, Error, Guarantee, Limits, NewEndpoint, NoAlerts, Notifier, SecretKeys,
    Subscription,
};
use webhook::{Secret, Secrets, WebhookId};

use crate::receiver::{Behaviour, Post};
use crate::stage::{Stage, handle, record, settings};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn keys() -> SecretKeys {
    SecretKeys::new([KEY]).unwrap()
}

fn endpoints(stage: &Stage) -> Endpoints {
    Endpoints::new(
        stage.database.options(),
        stage.client.clone(),
        keys(),
        Duration::from_secs(20),
    )
}

fn new(id: &str, url: &str) -> NewEndpoint {
    NewEndpoint {
        id: EndpointId::new(id).unwrap(),
        url: url.to_owned(),
        format: "json".to_owned(),
        template: None,
        secret: None,
        guarantee: Guarantee::AtLeastOnce,
        limits: Limits::default(),
        subscriptions: vec![
            Subscription::default(),
            Subscription {
                subject: Some("ann".into()),
                event_type: None,
            },
        ],
    }
}

async fn notifier(stage: &Stage) -> Notifier {
    let alerts = Arc::new(NoAlerts);
    Notifier::start(
        stage.database.options(),
        stage.client.clone(),
        keys(),
        alerts,
        settings(),
    )
    .await
    .unwrap()
}

/// The signatures that a receiver would make itself.
fn signatures(secrets: &Secrets, post: &Post) -> String {
    let seconds = post.header("webhook-timestamp").parse().unwrap();
    let id = WebhookId::new(&post.id()).unwrap();
    secrets
        .sign(&id, seconds, &post.body)
        .to_str()
        .unwrap()
        .to_owned()
}

fn again(secret: &Secret) -> Secret {
    Secret::parse(secret.expose()).unwrap()
}

#[tokio::test]
async fn an_endpoint_that_was_added_is_sent_to_and_its_secret_is_in_no_dump() {
    let stage = Stage::new().await;
    let secret = endpoints(&stage)
        .add(new("a", &stage.receiver.url("a")))
        .await
        .unwrap();
    handle(&notifier(&stage).await, &record("1")).await.unwrap();
    let post = &stage.receiver.posts()[0];
    assert_eq!(
        post.header("webhook-signature"),
        signatures(&Secrets::new(again(&secret)), post)
    );
    assert_eq!(stage.receiver.posts().len(), 1);

    let dump = stage
        .database
        .text("SELECT string_agg(endpoint::text, ' ') FROM cdc.endpoint")
        .await
        .unwrap();
    assert!(dump.contains("sealed:"), "{dump}");
    let listed = endpoints(&stage).list().await.unwrap();
    let shown = format!("{listed:?} {:?} {secret:?}", endpoints(&stage));
    let plain = secret.expose().strip_prefix("whsec_").unwrap();
    assert!(!dump.contains(plain) && !shown.contains(plain));
    assert!(listed[0].signed);
}

#[tokio::test]
async fn a_rotated_secret_signs_first_and_the_old_one_until_its_time_is_over() {
    let stage = Stage::new().await;
    let id = EndpointId::new("a").unwrap();
    let mut endpoints = endpoints(&stage);
    let old = endpoints
        .add(new("a", &stage.receiver.url("a")))
        .await
        .unwrap();
    let notifier = notifier(&stage).await;
    let new = endpoints
        .rotate_secret(&id, None, Duration::from_secs(3600))
        .await
        .unwrap();
    assert_ne!(old.expose(), new.expose());
    handle(&notifier, &record("1")).await.unwrap();
    stage
        .database
        .execute("UPDATE cdc.endpoint SET old_secret_until = now() - interval '1 second'")
        .await;
    handle(&notifier, &record("2")).await.unwrap();
    let posts = stage.receiver.posts();
    let both = Secrets::rotating(again(&new), again(&old));
    assert_eq!(
        posts[0].header("webhook-signature"),
        signatures(&both, &posts[0])
    );
    assert_eq!(
        posts[1].header("webhook-signature"),
        signatures(&Secrets::new(again(&new)), &posts[1])
    );

    // A third one pushes the first out.
    endpoints
        .rotate_secret(&id, None, Duration::from_secs(3600))
        .await
        .unwrap();
    let kept = stage
        .database
        .text("SELECT cardinality(secrets) FROM cdc.endpoint")
        .await;
    assert_eq!(kept.unwrap(), "2");
}

#[tokio::test]
async fn refuses_what_cannot_be_sent_to() {
    let stage = Stage::new().await;
    let mut endpoints = endpoints(&stage);
    for url in [
        "http://ann:secret@127.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://[::1]/",
        "nonsense",
        "",
    ] {
        let refused = endpoints.add(new("a", url)).await;
        assert!(
            matches!(refused, Err(Error::Invalid { what: "URL", .. })),
            "{url}: {refused:?}"
        );
        assert!(!format!("{refused:?}").contains("secret"));
    }
    let good = stage.receiver.url("a");
    let unknown = NewEndpoint {
        format: "pigeon".into(),
        ..new("a", &good)
    };
    assert!(matches!(
        endpoints.add(unknown).await,
        Err(Error::Invalid { what: "format", .. })
    ));
    let stray = NewEndpoint {
        template: Some("{}".into()),
        ..new("a", &good)
    };
    assert!(matches!(
        endpoints.add(stray).await,
        Err(Error::Invalid { what: "format", .. })
    ));
    let limits = Limits {
        rate_per_second: Some(0.0),
        ..Limits::default()
    };
    assert!(matches!(
        endpoints
            .add(NewEndpoint {
                limits,
                ..new("a", &good)
            })
            .await,
        Err(Error::Postgres { .. })
    ));
    assert_eq!(endpoints.list().await.unwrap(), []);

    endpoints.add(new("a", &good)).await.unwrap();
    assert!(matches!(
        endpoints.add(new("a", &good)).await,
        Err(Error::EndpointExists(_))
    ));
    let nobody = EndpointId::new("b").unwrap();
    assert!(matches!(
        endpoints.test(&nobody).await,
        Err(Error::NoEndpoint(_))
    ));
    assert!(matches!(
        endpoints.enable(&nobody).await,
        Err(Error::NoEndpoint(_))
    ));
    assert!(matches!(
        endpoints.disable(&nobody, "x").await,
        Err(Error::NoEndpoint(_))
    ));
    assert!(matches!(
        endpoints.rotate_secret(&nobody, None, Duration::ZERO).await,
        Err(Error::NoEndpoint(_))
    ));
}

#[tokio::test]
async fn a_test_message_says_that_it_is_one_in_every_format() {
    let stage = Stage::new().await;
    let mut endpoints = endpoints(&stage);
    for (format, template) in [
        ("json", None),
        ("cloudevents", None),
        ("jandi", None),
        ("slack", None),
        ("discord", None),
        ("template", Some(r#"{"text": "{{data.text}}"}"#)),
    ] {
        let mut endpoint = new(format, &stage.receiver.url(format));
        endpoint.format = format.to_owned();
        endpoint.template = template.map(str::to_owned);
        endpoint.subscriptions = Vec::new();
        let id = endpoint.id.clone();
        endpoints.add(endpoint).await.unwrap();
        let result = endpoints.test(&id).await.unwrap();
        assert!(
            result.delivered && result.status == Some(200),
            "{format}: {result:?}"
        );
        let posts = stage.receiver.posts();
        let post = posts.last().unwrap();
        assert_eq!(post.id(), result.id);
        let body = String::from_utf8(post.body.to_vec()).unwrap();
        assert!(body.contains("A test of cdc-relay"), "{format}: {body}");
    }
    stage.receiver.set("json", Behaviour::Answer(404));
    let id = EndpointId::new("json").unwrap();
    endpoints.disable(&id, "off").await.unwrap();
    let result = endpoints.test(&id).await.unwrap();
    assert_eq!(
        (result.delivered, result.status, result.code),
        (false, Some(404), "webhook-client-error")
    );
    assert_eq!(result.text, "what the endpoint says");
    assert_eq!(
        stage
            .database
            .text("SELECT count(*) FROM cdc.delivery")
            .await
            .unwrap(),
        "0"
    );
}
