//! What is kept of each request.

use std::net::TcpListener;
use std::time::Duration;

use notifier::{AttemptFilter, AttemptLog, DeliveryState, EndpointId, PastAttempt, Settings};

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

    let attempts = stage
        .deliveries()
        .attempts(&AttemptFilter::default(), None, 10)
        .await
        .unwrap();
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
}

#[tokio::test]
async fn a_filter_means_what_it_says() {
    let stage = Stage::new().await;
    stage
        .database
        .execute(
            "INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, at, milliseconds, status, code) VALUES
                 ('e-1', 'a', 1, now() - interval '3 hours', 1, 503, 'webhook-server-error'),
                 ('e-1', 'a', 2, now() - interval '2 hours', 1, NULL, 'webhook-timeout'),
                 ('e-1', 'b', 1, now() - interval '1 minute', 1, 404, 'webhook-client-error'),
                 ('e-2', 'a', 1, now(), 1, 200, NULL)",
        )
        .await;
    let all = AttemptFilter::default;
    let hour = Some(Duration::from_secs(3600));
    let answered = |text: &str| AttemptFilter {
        status: Some(text.parse().unwrap()),
        ..all()
    };
    let failed_so = |code: &str| AttemptFilter {
        code: Some(code.into()),
        ..all()
    };
    let older = |older_than| AttemptFilter {
        older_than,
        ..all()
    };
    let newer = |newer_than| AttemptFilter {
        newer_than,
        ..all()
    };
    let of_event = AttemptFilter {
        event_id: Some("e-1".into()),
        ..all()
    };
    let to_endpoint = AttemptFilter {
        endpoint: Some(id("a")),
        ..all()
    };
    let both = AttemptFilter {
        endpoint: Some(id("b")),
        ..of_event.clone()
    };
    let mut deliveries = stage.deliveries();
    for (filter, expected) in [
        (all(), "e-2 a 1, e-1 b 1, e-1 a 2, e-1 a 1"),
        (of_event, "e-1 b 1, e-1 a 2, e-1 a 1"),
        (to_endpoint, "e-2 a 1, e-1 a 2, e-1 a 1"),
        (both, "e-1 b 1"),
        (failed_so("webhook-timeout"), "e-1 a 2"),
        (failed_so("webhook-gone"), ""),
        (answered("503"), "e-1 a 1"),
        (answered("502"), ""),
        (answered("4xx"), "e-1 b 1"),
        (answered("2xx"), "e-2 a 1"),
        (older(hour), "e-1 a 2, e-1 a 1"),
        (newer(hour), "e-2 a 1, e-1 b 1"),
        (older(Some(Duration::MAX)), ""),
        (
            newer(Some(Duration::MAX)),
            "e-2 a 1, e-1 b 1, e-1 a 2, e-1 a 1",
        ),
    ] {
        let found = deliveries.attempts(&filter, None, 10).await.unwrap();
        let found: Vec<_> = found.iter().map(shown).collect();
        assert_eq!(found.join(", "), expected, "{filter:?}");
    }
}

/// A batch writes many rows at once, which then have the same time.
#[tokio::test]
async fn pages_have_each_request_once_though_many_were_over_at_the_same_time() {
    let stage = Stage::new().await;
    stage
        .database
        .execute(
            "INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, at, milliseconds)
             SELECT 'e' || n % 5, 'a' || n / 5 % 2, n / 10, now() - make_interval(secs => n % 2), 1
               FROM generate_series(0, 29) AS n",
        )
        .await;
    let mut deliveries = stage.deliveries();
    let all = deliveries
        .attempts(&AttemptFilter::default(), None, 100)
        .await
        .unwrap();
    assert_eq!(all.len(), 30);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = deliveries
            .attempts(&AttemptFilter::default(), after.as_ref(), 7)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.place());
        paged.extend(page);
        // What comes meanwhile is before all of them.
        let insert = format!(
            "INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, milliseconds) VALUES ('new', 'a', {}, 1)",
            paged.len()
        );
        stage.database.execute(&insert).await;
    }
    assert_eq!(paged, all);
}

fn shown(attempt: &PastAttempt) -> String {
    let PastAttempt {
        event_id,
        endpoint,
        epoch,
        ..
    } = attempt;
    format!("{event_id} {endpoint} {epoch}")
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
        let attempts = stage
            .deliveries()
            .attempts(&AttemptFilter::default(), None, 10)
            .await
            .unwrap();
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
    let attempts = stage
        .deliveries()
        .attempts(&AttemptFilter::default(), None, 10)
        .await
        .unwrap();
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
    let left = stage
        .deliveries()
        .attempts(&AttemptFilter::default(), None, 10)
        .await
        .unwrap();
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

/// Of 20 000 requests, those that are newest, that are far back, and of a time.
#[tokio::test]
async fn a_few_of_many_are_found_without_looking_at_all() {
    let stage = Stage::new().await;
    stage
        .database
        .execute(
            "INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, at, milliseconds)
                 SELECT 'e' || n, 'a', 1, now() - make_interval(secs => n), 1 FROM generate_series(1, 20000) AS n;
             ANALYZE cdc.attempt;",
        )
        .await;
    let all = AttemptFilter::default();
    let old = AttemptFilter {
        older_than: Some(Duration::from_secs(15_000)),
        ..all.clone()
    };
    let mut deliveries = stage.deliveries();
    let newest = deliveries.attempts(&all, None, 2).await.unwrap();
    let next = deliveries
        .attempts(&all, Some(&newest[1].place()), 2)
        .await
        .unwrap();
    let back = deliveries.attempts(&old, None, 1).await.unwrap();
    let far = deliveries
        .attempts(&all, Some(&back[0].place()), 1)
        .await
        .unwrap();
    let found = [newest, next, back, far].concat();
    let ids: Vec<_> = found.iter().map(|one| one.event_id.as_str()).collect();
    assert_eq!(ids[..4], ["e1", "e2", "e3", "e4"]);
    assert!(ids[4].starts_with("e15"), "{ids:?}");
    drop(deliveries);
    // A server counts what a session did when the session has ended.
    let used = "SELECT (idx_scan >= 4)::text FROM pg_stat_user_indexes WHERE indexrelname = 'attempt_by_time'";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while stage.database.text(used).await.as_deref() != Some("true") {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the index was not used"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let read = "SELECT (idx_tup_read < 1000)::text || seq_tup_read FROM pg_stat_user_indexes
                  JOIN pg_stat_user_tables USING (relid) WHERE indexrelname = 'attempt_by_time'";
    assert_eq!(
        stage.database.text(read).await.as_deref(),
        Some("true0"),
        "more was read than is listed"
    );
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
