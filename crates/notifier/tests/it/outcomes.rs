//! What an answer means.

use std::time::Duration;

use cdc_event::{Failure, PartDisposition};
use notifier::{DeliveryState, DisabledReason, EndpointId, Settings};

use crate::receiver::Behaviour;
use crate::stage::{Stage, handle, only_part, part, parts, record, settings, underway, wait};

#[tokio::test]
async fn an_answer_decides_whether_the_event_comes_again() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    // An endpoint that fails is closed after five times; not here.
    let notifier = stage
        .notifier_with(Settings {
            breaker_failures: u32::MAX.try_into().unwrap(),
            ..settings()
        })
        .await;
    for (status, code, again) in [
        (301, "webhook-redirect", false),
        (304, "webhook-redirect", false),
        (400, "webhook-client-error", false),
        (404, "webhook-client-error", false),
        (408, "webhook-not-now", true),
        (425, "webhook-not-now", true),
        (429, "webhook-throttled", true),
        (500, "webhook-server-error", true),
        (503, "webhook-server-error", true),
    ] {
        stage.receiver.set("a", Behaviour::Answer(status));
        let id = status.to_string();
        assert_eq!(
            only_part(handle(&notifier, &record(&id)).await),
            (code.into(), again),
            "{status}"
        );
        let expected = if again {
            DeliveryState::Retrying
        } else {
            DeliveryState::Failed
        };
        assert_eq!(stage.state(&id, "a").await, Some(expected));
    }
    let listed = stage
        .deliveries()
        .in_trouble(DeliveryState::Failed, None, None, 10)
        .await
        .unwrap();
    let excerpts: Vec<_> = listed
        .iter()
        .map(|one| (one.status, one.excerpt.as_deref()))
        .collect();
    assert!(
        excerpts.contains(&(Some(404), Some("what the endpoint says"))),
        "{excerpts:?}"
    );
}

#[tokio::test]
async fn an_endpoint_that_must_not_hear_twice_is_asked_again_only_if_it_cannot_have_heard() {
    let stage = Stage::new().await;
    stage.endpoint_with("a", "guarantee = 'at_most_once'").await;
    let notifier = stage
        .notifier_with(Settings {
            breaker_failures: u32::MAX.try_into().unwrap(),
            ..settings()
        })
        .await;
    for (status, again, state) in [
        (429, true, DeliveryState::Retrying),
        (503, true, DeliveryState::Retrying),
        (500, false, DeliveryState::Unknown),
        (502, false, DeliveryState::Unknown),
        (403, false, DeliveryState::Failed),
    ] {
        stage.receiver.set("a", Behaviour::Answer(status));
        let id = status.to_string();
        assert_eq!(
            only_part(handle(&notifier, &record(&id)).await).1,
            again,
            "{status}"
        );
        assert_eq!(stage.state(&id, "a").await, Some(state), "{status}");
    }
    // Nobody listens there: nothing was sent.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    stage
        .database
        .execute(&format!("UPDATE cdc.endpoint SET url = 'http://{closed}/'"))
        .await;
    let refused = only_part(handle(&notifier, &record("refused")).await);
    assert_eq!(refused, ("webhook-connection-refused".into(), true));
    assert_eq!(
        stage.state("refused", "a").await,
        Some(DeliveryState::Retrying)
    );
}

#[tokio::test]
async fn no_answer_in_time_comes_again_or_is_in_doubt() {
    let stage = Stage::new().await;
    stage.endpoint("again").await;
    stage
        .endpoint_with("doubt", "guarantee = 'at_most_once'")
        .await;
    for path in ["again", "doubt"] {
        stage.receiver.set(path, Behaviour::Hang);
    }
    let notifier = stage.notifier().await;
    let overdue = underway(handle(&notifier, &record("1")).await);
    assert!(
        overdue
            .iter()
            .all(|(_, code, _)| code == "delivery-overdue"),
        "{overdue:?}"
    );
    stage
        .wait_for_state("1", "again", DeliveryState::Retrying)
        .await;
    stage
        .wait_for_state("1", "doubt", DeliveryState::Unknown)
        .await;
    let doubt = handle(&notifier, &part("1", "doubt")).await;
    assert!(matches!(doubt, Err(Failure::Poison { .. })), "{doubt:?}");
}

#[tokio::test]
async fn gone_disables_the_endpoint_at_once_and_somebody_is_told() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.receiver.set("a", Behaviour::Answer(410));
    let notifier = stage.notifier().await;
    assert_eq!(
        only_part(handle(&notifier, &record("1")).await),
        ("webhook-gone".into(), false)
    );
    handle(&notifier, &record("2")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1"]);
    assert_eq!(stage.alerts.all(), [("a".to_owned(), DisabledReason::Gone)]);
    let id = EndpointId::new("a").unwrap();
    let missed = stage.endpoints().enable(&id).await.unwrap();
    assert_eq!((missed.failed, missed.while_disabled), (1, 1));
}

#[tokio::test]
async fn an_endpoint_that_only_fails_for_too_long_is_disabled_once_and_alerted() {
    let stage = Stage::new().await;
    stage.endpoint("bad").await;
    stage.endpoint("good").await;
    stage.endpoint("mixed").await;
    stage.receiver.set("bad", Behaviour::Answer(500));
    let settings = Settings {
        disable_after: Some(Duration::from_millis(400)),
        breaker_failures: u32::MAX.try_into().unwrap(),
        ..settings()
    };
    let notifiers = [
        stage.notifier_with(settings).await,
        stage.notifier_with(settings).await,
    ];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let mut event = 0;
    while stage.alerts.all().is_empty() {
        assert!(tokio::time::Instant::now() < deadline);
        stage.receiver.set(
            "mixed",
            Behaviour::Answer(if event % 2 == 0 { 500 } else { 200 }),
        );
        for notifier in &notifiers {
            handle(notifier, &record(&event.to_string())).await.ok();
        }
        event += 1;
    }
    for notifier in &notifiers {
        handle(notifier, &record("last")).await.ok();
    }
    assert_eq!(
        stage.alerts.all(),
        [("bad".to_owned(), DisabledReason::Failing)]
    );
    assert!(!stage.receiver.ids("bad").contains(&"last".to_owned()));
    assert!(stage.receiver.ids("good").contains(&"last".to_owned()));

    let bad = EndpointId::new("bad").unwrap();
    let missed = stage.endpoints().enable(&bad).await.unwrap();
    assert!(missed.failed >= 2, "{missed:?}");
    let listed = stage.endpoints().list().await.unwrap();
    assert!(
        listed
            .iter()
            .all(|endpoint| endpoint.state == notifier::EndpointState::Enabled)
    );
}

/// The times of its failures are set, as if they had been then.
#[tokio::test]
async fn somebody_is_warned_once_at_each_step_before_an_endpoint_is_disabled() {
    let stage = Stage::new().await;
    stage.endpoint("bad").await;
    stage.endpoint("other").await;
    stage.receiver.set("bad", Behaviour::Answer(500));
    let hour = Duration::from_secs(3600);
    let settings = Settings {
        disable_after: Some(hour * 10),
        breaker_failures: u32::MAX.try_into().unwrap(),
        ..settings()
    };
    let fails_after = async |first: f64, last: f64, event: &str| {
        stage
            .database
            .execute(&format!(
                "UPDATE cdc.endpoint SET first_failed_at = now() - make_interval(secs => {first} * 3600),
                        last_failed_at = now() - make_interval(secs => {last} * 3600) WHERE id = 'bad'"
            ))
            .await;
        // Each process notes a failure now and then only; these are new, and both hear of it at the same time.
        let notifiers = (
            stage.notifier_with(settings).await,
            stage.notifier_with(settings).await,
        );
        let events = (record(&format!("{event}-1")), record(&format!("{event}-2")));
        let (one, other) = tokio::join!(
            handle(&notifiers.0, &events.0),
            handle(&notifiers.1, &events.1)
        );
        assert!(one.is_err() && other.is_err());
        let warnings = stage.alerts.warnings();
        assert!(warnings.iter().all(|(endpoint, _)| endpoint == "bad"));
        warnings
            .iter()
            .map(|(_, percent)| *percent)
            .collect::<Vec<_>>()
    };
    assert_eq!(fails_after(4.9, 0.1, "early").await, [0_u8; 0]);
    assert_eq!(fails_after(5.1, 0.2, "half").await, [50]);
    assert_eq!(fails_after(6.9, 1.0, "between").await, [50]);
    assert_eq!(fails_after(9.5, 2.6, "late").await, [50, 90]);
    assert_eq!(stage.alerts.all(), []);
    // A success ends it, and the next time of failure has warnings of its own.
    stage.receiver.set("bad", Behaviour::Answer(200));
    let notifier = stage.notifier_with(settings).await;
    handle(&notifier, &record("good")).await.unwrap();
    stage.receiver.set("bad", Behaviour::Answer(500));
    assert_eq!(fails_after(5.5, 1.0, "again").await, [50, 90, 50]);
    assert_eq!(fails_after(10.1, 0.1, "end").await, [50, 90, 50]);
    assert_eq!(
        stage.alerts.all(),
        [("bad".to_owned(), DisabledReason::Failing)]
    );
}

#[tokio::test]
async fn a_pause_that_an_endpoint_asks_for_holds_for_all_of_its_events() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.endpoint("b").await;
    stage.receiver.set("a", Behaviour::Throttle(429, "30"));
    let notifier = stage.notifier().await;
    let Err(Failure::Partial { parts }) = handle(&notifier, &record("1")).await else {
        panic!("no failure");
    };
    let PartDisposition::Transient {
        retry_after: Some(first),
    } = parts[0].disposition
    else {
        panic!("{parts:?}");
    };
    assert_eq!(first, Duration::from_secs(30));
    let (code, second) = wait(handle(&notifier, &record("2")).await);
    assert_eq!(code, "endpoint-closed");
    assert!(
        second <= first && second > Duration::from_secs(20),
        "{second:?}"
    );
    assert_eq!(
        (stage.receiver.ids("a").len(), stage.receiver.ids("b").len()),
        (1, 2)
    );
}

#[tokio::test]
async fn an_endpoint_that_fails_again_and_again_is_left_alone_without_burning_attempts() {
    let stage = Stage::new().await;
    stage.endpoint("bad").await;
    stage.endpoint("good").await;
    stage.receiver.set("bad", Behaviour::Answer(500));
    let notifier = stage.notifier().await;
    for event in 0..10 {
        let done = handle(&notifier, &record(&event.to_string())).await;
        if event < 5 {
            assert_eq!(only_part(done), ("webhook-server-error".into(), true));
        } else {
            assert_eq!(wait(done).0, "endpoint-closed");
        }
    }
    assert_eq!(
        (
            stage.receiver.ids("bad").len(),
            stage.receiver.ids("good").len()
        ),
        (5, 10)
    );
    assert_eq!(stage.state("9", "bad").await, None, "nothing was claimed");
}

#[tokio::test]
async fn what_cannot_be_said_is_poison_for_that_endpoint_alone() {
    let stage = Stage::new().await;
    stage.endpoint("json").await;
    stage.endpoint_with("slack", "format = 'slack'").await;
    stage
        .endpoint_with(
            "template",
            r#"format = 'template', template = '{"x": "{{data.missing}}"}'"#,
        )
        .await;
    stage
        .endpoint_with("unknown", "format = 'carrier-pigeon'")
        .await;
    stage
        .endpoint_with("private", "url = 'http://10.0.0.1/'")
        .await;
    stage
        .endpoint_with("credentials", "url = 'http://a:b@127.0.0.1/'")
        .await;
    stage
        .endpoint_with("file", "url = 'file:///etc/passwd'")
        .await;
    stage
        .endpoint_with("sealed", "secrets = '{sealed:00:AAAA}'")
        .await;
    let notifier = stage.notifier().await;
    let mut bad = record("1");
    bad.value = Some(b"{not json".to_vec());
    let failed = parts(handle(&notifier, &bad).await);
    let names: Vec<_> = failed.iter().map(|(part, ..)| part.as_str()).collect();
    assert_eq!(
        names,
        [
            "credentials",
            "file",
            "private",
            "sealed",
            "slack",
            "template",
            "unknown"
        ]
    );
    let again: Vec<_> = failed
        .iter()
        .filter(|(.., again)| *again)
        .map(|(part, ..)| part)
        .collect();
    assert_eq!(again, ["sealed"], "the key may be configured yet");
    assert_eq!(stage.receiver.posts().len(), 1);
    assert_eq!(stage.receiver.ids("json"), ["1"]);
}

#[tokio::test]
async fn a_record_that_is_no_event_is_poison() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage.notifier().await;
    let mut no_text = record("1");
    no_text.key = Some(vec![0xff, 0xfe]);
    let failure = handle(&notifier, &no_text).await;
    assert!(
        matches!(failure, Err(Failure::Poison { .. })),
        "{failure:?}"
    );
    handle(&notifier, &record("2")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["2"]);
}
