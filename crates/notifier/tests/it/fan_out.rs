//! Who gets what.

use std::collections::HashSet;
use std::time::Duration;

use cdc_event::KafkaPosition;
use notifier::{DeliveryState, EndpointId, Settings};
use tokio::time::{Instant, sleep};

use crate::receiver::Behaviour;
use crate::stage::{Stage, handle, part, parts, record, settings};

#[tokio::test]
async fn every_endpoint_gets_one_copy() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.endpoint("b").await;
    let notifier = stage.notifier().await;
    handle(&notifier, &record("1")).await.unwrap();
    for path in ["a", "b"] {
        assert_eq!(stage.receiver.ids(path), ["1"]);
        assert_eq!(stage.state("1", path).await, Some(DeliveryState::Delivered));
    }
    let body = String::from_utf8(stage.receiver.posts()[0].body.to_vec()).unwrap();
    for text in [
        r#""id":"1""#,
        r#""type":"post.created""#,
        r#""subject":"ann""#,
        r#"{"title":"Hello"}"#,
    ] {
        assert!(body.contains(text), "{body}");
    }
}

#[tokio::test]
async fn only_those_get_it_who_asked_for_the_subject_and_the_type() {
    let stage = Stage::new().await;
    for (id, subject, kind) in [
        ("all", "NULL", "NULL"),
        ("ann", "'ann'", "NULL"),
        ("bob", "'bob'", "NULL"),
        ("created", "NULL", "'post.created'"),
        ("deleted", "NULL", "'post.deleted'"),
        ("ann-deleted", "'ann'", "'post.deleted'"),
        ("ann-created", "'ann'", "'post.created'"),
        ("upper", "'ANN'", "NULL"),
        ("posts", "NULL", "'post.*'"),
        ("ann-posts", "'ann'", "'post.*'"),
        ("bob-posts", "'bob'", "'post.*'"),
        ("no-dot", "NULL", "'post*'"),
        ("other-prefix", "NULL", "'pos.*'"),
        ("no-pattern", "NULL", "'p_st.*'"),
        ("deeper", "NULL", "'post.created.*'"),
    ] {
        stage.endpoint(id).await;
        stage
            .database
            .execute(&format!(
                "UPDATE cdc.subscription SET subject = {subject}, event_type = {kind} WHERE endpoint_id = '{id}'"
            ))
            .await;
    }
    let notifier = stage.notifier().await;
    handle(&notifier, &record("1")).await.unwrap();
    let mut without_key = record("2");
    without_key.key = None;
    handle(&notifier, &without_key).await.unwrap();
    let got = |id: &str| -> HashSet<String> {
        stage
            .receiver
            .posts()
            .iter()
            .filter(|post| post.id() == id)
            .map(|post| post.path[1..].to_owned())
            .collect()
    };
    assert_eq!(
        got("1"),
        ["all", "ann", "created", "ann-created", "posts", "ann-posts"]
            .map(str::to_owned)
            .into()
    );
    assert_eq!(
        got("2"),
        ["all", "created", "posts"].map(str::to_owned).into()
    );
}

#[tokio::test]
async fn an_event_that_nobody_asked_for_is_done_and_leaves_no_trace() {
    let stage = Stage::new().await;
    let notifier = stage.notifier().await;
    handle(&notifier, &record("1")).await.unwrap();
    assert_eq!(
        stage
            .database
            .text("SELECT count(*) FROM cdc.delivery")
            .await
            .unwrap(),
        "0"
    );
}

#[tokio::test]
async fn subscriptions_that_overlap_are_one_delivery_and_endpoints_with_one_url_are_two() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.endpoint("b").await;
    let url = stage.receiver.url("a");
    stage
        .database
        .execute(&format!(
            "UPDATE cdc.endpoint SET url = '{url}';
             INSERT INTO cdc.subscription VALUES ('a', 'ann', NULL), ('a', 'ann', 'post.created'), ('a', NULL, 'post.created');"
        ))
        .await;
    let notifier = stage.notifier().await;
    handle(&notifier, &record("1")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1", "1"]);
}

#[tokio::test]
async fn a_view_of_the_application_takes_the_place_of_the_table() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage
        .database
        .execute(
            "DROP TABLE cdc.subscription;
             CREATE TABLE follower (author text, hook text);
             INSERT INTO follower VALUES ('ann', 'a'), ('bob', 'a'), ('ann', 'nobody'), ('ann', ''), ('ann', E'a\\tb');
             CREATE VIEW cdc.subscription AS
                 SELECT hook AS endpoint_id, author AS subject, NULL::text AS event_type FROM follower;",
        )
        .await;
    let notifier = stage.notifier().await;
    handle(&notifier, &record("1")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1"]);
    assert_eq!(stage.receiver.posts().len(), 1);
}

#[tokio::test]
async fn a_disabled_endpoint_is_told_nothing_and_what_it_missed_is_known() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let id = EndpointId::new("a").unwrap();
    let notifier = stage.notifier().await;
    stage.endpoints().disable(&id, "holidays").await.unwrap();
    handle(&notifier, &record("1")).await.unwrap();
    handle(&notifier, &record("2")).await.unwrap();
    assert!(stage.receiver.posts().is_empty());
    assert_eq!(stage.state("1", "a").await, Some(DeliveryState::Missed));

    let missed = stage.endpoints().enable(&id).await.unwrap();
    assert_eq!((missed.failed, missed.while_disabled), (0, 2));
    assert!(missed.since.is_some());
    handle(&notifier, &record("3")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["3"]);
    // What it missed it gets when somebody lets the records come again.
    let listed = stage
        .deliveries()
        .in_trouble(DeliveryState::Missed, Some(&id), None, 10)
        .await
        .unwrap();
    let origins: Vec<_> = listed
        .iter()
        .map(|delivery| delivery.origin.as_deref())
        .collect();
    assert_eq!(origins, [Some("posts[0]@1"); 2]);
    handle(&notifier, &record("1")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["3", "1"]);
}

#[tokio::test]
async fn a_retry_for_an_endpoint_that_is_gone_or_disabled_is_dropped() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.receiver.set("a", Behaviour::Answer(500));
    let notifier = stage.notifier().await;
    parts(handle(&notifier, &record("1")).await);
    stage
        .endpoints()
        .disable(&EndpointId::new("a").unwrap(), "no more")
        .await
        .unwrap();
    handle(&notifier, &part("1", "a")).await.unwrap();
    stage.database.execute("DELETE FROM cdc.endpoint").await;
    handle(&notifier, &part("1", "a")).await.unwrap();
    assert_eq!(stage.receiver.posts().len(), 1);
}

#[tokio::test]
async fn a_retry_goes_to_the_url_of_today() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.receiver.set("a", Behaviour::Answer(500));
    let notifier = stage.notifier().await;
    parts(handle(&notifier, &record("1")).await);
    let url = stage.receiver.url("new");
    stage
        .database
        .execute(&format!("UPDATE cdc.endpoint SET url = '{url}'"))
        .await;
    handle(&notifier, &part("1", "a")).await.unwrap();
    assert_eq!(stage.receiver.ids("new"), ["1"]);
}

#[tokio::test]
async fn a_record_of_more_subscribers_than_a_page_reaches_each_once() {
    const SUBSCRIBERS: usize = 1500;
    let stage = Stage::new().await;
    let url = stage.receiver.url("");
    stage
        .database
        .execute(&format!(
            "INSERT INTO cdc.endpoint (id, url) SELECT 'e' || n, '{url}e' || n FROM generate_series(1, {SUBSCRIBERS}) AS n;
             INSERT INTO cdc.subscription SELECT id, s.subject, t.type FROM cdc.endpoint,
                 (VALUES ('ann'), (NULL)) AS s (subject), (VALUES ('post.created'), (NULL)) AS t (type);"
        ))
        .await;
    let notifier = stage.notifier().await;
    let mut elsewhere = record("1");
    elsewhere.origin = KafkaPosition {
        offset: 99,
        ..elsewhere.origin
    };
    handle(&notifier, &record("1")).await.unwrap();
    handle(&notifier, &elsewhere).await.unwrap();
    let posts = stage.receiver.posts();
    let paths: HashSet<_> = posts.iter().map(|post| post.path.clone()).collect();
    assert_eq!((posts.len(), paths.len()), (SUBSCRIBERS, SUBSCRIBERS));
}

#[tokio::test]
async fn what_is_used_all_the_time_is_read_anew_before_it_expires() {
    const EXPIRY: Duration = Duration::from_secs(6);
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage
        .notifier_with(Settings {
            cache_expiry: EXPIRY,
            ..settings()
        })
        .await;
    handle(&notifier, &record("first")).await.unwrap();
    let read = Instant::now();
    stage.endpoint("b").await;
    handle(&notifier, &record("second")).await.unwrap();
    assert!(stage.receiver.ids("b").is_empty(), "nothing is kept");
    // The one that finds it ageing is served from memory, as are those until it has been read.
    let mut event = 0;
    while stage.receiver.ids("b").is_empty() {
        assert!(read.elapsed() < EXPIRY, "it is not read");
        sleep(Duration::from_millis(50)).await;
        event += 1;
        handle(&notifier, &record(&event.to_string()))
            .await
            .unwrap();
    }
    let after = read.elapsed();
    let expired = EXPIRY - Duration::from_secs(1);
    assert!(after > EXPIRY / 3 && after < expired, "{after:?}");
}
