//! What is kept of each request.

use std::net::TcpListener;
use std::time::Duration;

use notifier::{AttemptLog, DeliveryState, EndpointId, Settings};

use crate::receiver::Behaviour;
use crate::stage::{Stage, handle, only_part, part, record, settings};

fn logging(attempt_log: AttemptLog) -> Settings {
    Settings {
        attempt_log,
        ..settings()
    }
}

fn id(text: &str) -> EndpointId {
    EndpointId::new(text).unwrap()
}

#[tokio::test]
async fn each_failed_request_is_listed_with_its_answer_the_newest_first() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage.notifier_with(logging(AttemptLog::Failed)).await;
    stage.receiver.set("a", Behaviour::Answer(503));
    assert!(only_part(handle(&notifier, &record("e-1")).await).1);
    stage.receiver.set("a", Behaviour::Answer(404));
    handle(&notifier, &part("e-1", "a")).await.unwrap_err();
    stage.receiver.set("a", Behaviour::Answer(200));
    handle(&notifier, &part("e-1", "a")).await.unwrap();
    assert_eq!(
        stage.state("e-1", "a").await,
        Some(DeliveryState::Delivered)
    );

    let attempts = stage.deliveries().attempts(None, None, 10).await.unwrap();
    let seen: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.status, attempt.code.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some(404), Some("webhook-client-error")),
            (Some(503), Some("webhook-server-error"))
        ]
    );
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.event_id == "e-1" && attempt.took < Duration::from_secs(20))
    );

    let mut deliveries = stage.deliveries();
    let of = async |event: Option<&str>, endpoint: Option<&str>, limit| {
        let endpoint = endpoint.map(id);
        deliveries
            .attempts(event, endpoint.as_ref(), limit)
            .await
            .unwrap()
            .len()
    };
    let mut of = of;
    assert_eq!(of(Some("e-1"), Some("a"), 1).await, 1);
    assert_eq!(of(Some("e-2"), None, 10).await, 0);
    assert_eq!(of(None, Some("b"), 10).await, 0);
}

#[tokio::test]
async fn all_of_them_or_none_are_kept_if_that_is_wanted() {
    for (wanted, kept) in [
        (AttemptLog::All, 1),
        (AttemptLog::Failed, 0),
        (AttemptLog::Off, 0),
    ] {
        let stage = Stage::new().await;
        stage.endpoint("a").await;
        let notifier = stage.notifier_with(logging(wanted)).await;
        handle(&notifier, &record("e-1")).await.unwrap();
        let attempts = stage.deliveries().attempts(None, None, 10).await.unwrap();
        assert_eq!(attempts.len(), kept, "{wanted:?}");
        assert!(
            attempts
                .iter()
                .all(|attempt| attempt.code.is_none() && attempt.status == Some(200))
        );
    }
}

#[tokio::test]
async fn a_request_without_an_answer_is_kept_too_but_not_what_was_never_sent() {
    let stage = Stage::new().await;
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    stage
        .endpoint_with("gone", &format!("url = 'http://{nobody}/'"))
        .await;
    stage
        .endpoint_with(
            "off",
            "state = 'disabled', disabled_reason = 'test', disabled_at = now()",
        )
        .await;
    let notifier = stage.notifier_with(logging(AttemptLog::All)).await;
    assert!(only_part(handle(&notifier, &record("e-1")).await).1);
    let attempts = stage.deliveries().attempts(None, None, 10).await.unwrap();
    let seen: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            (
                attempt.endpoint.as_str(),
                attempt.status,
                attempt.code.is_some(),
            )
        })
        .collect();
    assert_eq!(seen, [("gone", None, true)]);
}

#[tokio::test]
async fn they_are_forgotten_with_the_deliveries() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage.notifier_with(logging(AttemptLog::All)).await;
    handle(&notifier, &record("old")).await.unwrap();
    stage
        .database
        .execute("UPDATE cdc.attempt SET at = at - interval '2 days'")
        .await;
    handle(&notifier, &record("new")).await.unwrap();
    stage
        .deliveries()
        .prune(Duration::from_secs(86_400), 1)
        .await
        .unwrap();
    let left = stage.deliveries().attempts(None, None, 10).await.unwrap();
    assert_eq!(
        left.iter()
            .map(|attempt| attempt.event_id.as_str())
            .collect::<Vec<_>>(),
        ["new"]
    );
}

#[tokio::test]
async fn an_event_s_trace_context_goes_with_the_request_and_a_bad_one_does_not_stop_it() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage.notifier().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut traced = record("e-1");
    traced.headers.push("traceparent", Some(parent.into()));
    traced
        .headers
        .push("tracestate", Some(b"congo=t61rcWkgMzE".to_vec()));
    handle(&notifier, &traced).await.unwrap();
    let mut spoiled = record("e-2");
    spoiled
        .headers
        .push("traceparent", Some(b"x\r\nevil: 1".to_vec()));
    spoiled
        .headers
        .push("tracestate", Some(vec![b'x'; 100_000]));
    handle(&notifier, &spoiled).await.unwrap();
    let posts = stage.receiver.posts();
    assert_eq!(posts[0].headers["traceparent"], parent);
    assert_eq!(posts[0].headers["tracestate"], "congo=t61rcWkgMzE");
    assert!(
        ["traceparent", "tracestate", "evil"]
            .iter()
            .all(|name| !posts[1].headers.contains_key(*name))
    );
}

#[tokio::test]
async fn the_newest_of_many_are_found_without_looking_at_all() {
    let stage = Stage::new().await;
    stage
        .database
        .execute(
            "INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, at, milliseconds)
                 SELECT 'e' || n, 'a', 1, now() - make_interval(secs => n), 1 FROM generate_series(1, 20000) AS n;
             ANALYZE cdc.attempt;",
        )
        .await;
    let newest = stage.deliveries().attempts(None, None, 2).await.unwrap();
    let ids: Vec<_> = newest.iter().map(|one| one.event_id.as_str()).collect();
    assert_eq!(ids, ["e1", "e2"]);
    // A server counts what a session did when the session has ended.
    let used = "SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_user_indexes WHERE indexrelname = 'attempt_by_time'";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while stage.database.text(used).await.as_deref() == Some("0") {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the index was not used"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn outcomes_are_written_down_though_requests_cannot_be_kept() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.endpoint("b").await;
    let notifier = stage.notifier_with(logging(AttemptLog::All)).await;
    stage.database.execute("DROP TABLE cdc.attempt").await;
    stage.receiver.set("b", Behaviour::Answer(404));
    handle(&notifier, &record("e-1")).await.unwrap_err();
    assert_eq!(
        stage.state("e-1", "a").await,
        Some(DeliveryState::Delivered)
    );
    assert_eq!(stage.state("e-1", "b").await, Some(DeliveryState::Failed));
}
