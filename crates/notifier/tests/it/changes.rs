//! Endpoints that are changed and removed while a notifier runs.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use notifier::{
    DeliveryState, EndpointChange, EndpointId, Error, Settings, Subscription, Undelivered,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::receiver::Behaviour;
use crate::stage::{Stage, handle, part, parts, record, settings};

const LIMIT: Duration = Duration::from_secs(20);

fn id(name: &str) -> EndpointId {
    EndpointId::new(name).unwrap()
}

fn to(url: String) -> EndpointChange {
    EndpointChange {
        url: Some(url),
        ..EndpointChange::default()
    }
}

#[tokio::test]
async fn a_running_notifier_sends_what_is_new_and_what_comes_again_as_the_endpoint_is_now() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.receiver.set("a", Behaviour::Answer(500));
    let notifier = stage.notifier().await;
    parts(handle(&notifier, &record("1")).await);
    let mut endpoints = stage.endpoints();
    let change = EndpointChange {
        url: Some(stage.receiver.url("new")),
        format: Some("cloudevents".into()),
        ..EndpointChange::default()
    };
    let changed = endpoints.change(&id("a"), &change).await.unwrap();
    assert_eq!(changed.before.url, stage.receiver.url("a"));
    assert_eq!(endpoints.list().await.unwrap(), [changed.after]);
    handle(&notifier, &part("1", "a")).await.unwrap();
    handle(&notifier, &record("2")).await.unwrap();
    assert_eq!(stage.receiver.ids("new"), ["1", "2"]);
    assert_eq!(stage.receiver.ids("a"), ["1"]);
    let posts = stage.receiver.posts();
    assert_eq!(
        posts.last().unwrap().header("content-type"),
        "application/cloudevents+json"
    );

    let change = EndpointChange {
        subscriptions: Some(vec![Subscription {
            subject: Some("somebody-else".into()),
            event_type: None,
        }]),
        ..EndpointChange::default()
    };
    let changed = endpoints.change(&id("a"), &change).await.unwrap();
    assert_eq!(
        changed.subscribed_before,
        Some(vec![Subscription::default()])
    );
    handle(&notifier, &record("3")).await.unwrap();
    assert_eq!(stage.receiver.ids("new"), ["1", "2"]);
}

#[tokio::test]
async fn a_change_and_a_removal_are_known_when_what_was_read_expires() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage
        .notifier_with(Settings {
            cache_expiry: Duration::from_millis(500),
            ..settings()
        })
        .await;
    let mut event = 0;
    let mut hears = async |path: &str, wanted: bool| {
        let deadline = Instant::now() + LIMIT;
        loop {
            event += 1;
            let name = event.to_string();
            handle(&notifier, &record(&name)).await.unwrap();
            if stage.receiver.ids(path).contains(&name) == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "it is not known");
            sleep(Duration::from_millis(20)).await;
        }
    };
    hears("a", true).await;
    let mut endpoints = stage.endpoints();
    let change = to(stage.receiver.url("new"));
    endpoints.change(&id("a"), &change).await.unwrap();
    hears("new", true).await;
    endpoints.remove(&id("a")).await.unwrap();
    hears("new", false).await;
}

#[tokio::test]
async fn changes_at_the_same_time_undo_nothing_of_each_other() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let mut changing = JoinSet::new();
    let changes = (2..=9).flat_map(|number: u32| {
        let concurrency = EndpointChange {
            max_concurrency: NonZeroU32::new(number),
            ..EndpointChange::default()
        };
        let rate = EndpointChange {
            rate_per_second: Some(Some(f64::from(number))),
            ..EndpointChange::default()
        };
        [concurrency, rate]
    });
    let stage = Arc::new(stage);
    for change in changes {
        let stage = Arc::clone(&stage);
        changing.spawn(async move {
            let mut endpoints = stage.endpoints();
            endpoints.change(&id("a"), &change).await.unwrap()
        });
    }
    let done = changing.join_all().await;
    // One after the other: what each found is what another one left, so the changes are a chain without forks.
    let last = stage.endpoints().list().await.unwrap().remove(0);
    let limits =
        |of: &notifier::EndpointInfo| (of.limits.max_concurrency.get(), of.limits.rate_per_second);
    let mut left: Vec<_> = done.iter().map(|changed| limits(&changed.after)).collect();
    let mut found: Vec<_> = done.iter().map(|changed| limits(&changed.before)).collect();
    left.push((8, None));
    found.push(limits(&last));
    let sorted = |values: &mut Vec<(u32, Option<f64>)>| {
        values.sort_by(|one, other| one.partial_cmp(other).unwrap());
    };
    sorted(&mut left);
    sorted(&mut found);
    assert_eq!(left, found);
}

#[tokio::test]
async fn an_endpoint_that_is_removed_is_sent_nothing_more_and_its_deliveries_are_remembered() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage.endpoint("b").await;
    let notifier = stage.notifier().await;
    handle(&notifier, &record("1")).await.unwrap();
    stage.receiver.set("a", Behaviour::Answer(500));
    parts(handle(&notifier, &record("2")).await);
    stage.receiver.set("a", Behaviour::Answer(400));
    parts(handle(&notifier, &record("3")).await);
    let mut endpoints = stage.endpoints();
    let undelivered = endpoints.undelivered(&id("a")).await.unwrap();
    let expected = Undelivered {
        retrying: 1,
        failed: 1,
        ..Undelivered::default()
    };
    assert_eq!(undelivered, expected);
    assert!(endpoints.undelivered(&id("b")).await.unwrap().is_empty());
    let removed = endpoints.remove(&id("a")).await.unwrap();
    assert_eq!(
        (removed.subscriptions, removed.foreign_subscriptions),
        (1, 0)
    );

    // What waits in Kafka for it, and what is new.
    stage.receiver.set("a", Behaviour::Answer(200));
    handle(&notifier, &part("2", "a")).await.unwrap();
    handle(&notifier, &record("2")).await.unwrap();
    handle(&notifier, &record("4")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1", "2", "3"]);
    assert_eq!(stage.receiver.ids("b"), ["1", "2", "3", "4"]);
    assert_eq!(stage.state("2", "a").await, Some(DeliveryState::Retrying));

    // Whoever has the name next does not get again what that one had.
    stage.endpoint("a").await;
    handle(&notifier, &record("1")).await.unwrap();
    handle(&notifier, &record("2")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1", "2", "3", "2"]);
}

#[tokio::test]
async fn what_is_in_flight_while_its_endpoint_is_removed_ends_as_it_would_have() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let (release, released) = tokio::sync::watch::channel(false);
    stage.receiver.set("a", Behaviour::Hold(released));
    let notifier = Arc::new(stage.notifier().await);
    let mut sending = JoinSet::new();
    sending.spawn({
        let notifier = Arc::clone(&notifier);
        async move { handle(&notifier, &record("1")).await }
    });
    stage.receiver.wait_for(1).await;
    let mut endpoints = stage.endpoints();
    let undelivered = endpoints.undelivered(&id("a")).await.unwrap();
    assert!(undelivered.is_empty(), "{undelivered:?}");
    endpoints.remove(&id("a")).await.unwrap();
    release.send_replace(true);
    // It may have waited no longer than a record waits for an endpoint; the delivery went on by itself.
    sending.join_next().await.unwrap().unwrap().ok();
    stage
        .wait_for_state("1", "a", DeliveryState::Delivered)
        .await;
}

#[tokio::test]
async fn refuses_what_is_not_there() {
    let stage = Stage::new().await;
    let mut endpoints = stage.endpoints();
    let nobody = id("a");
    let change = to(stage.receiver.url("a"));
    assert!(matches!(
        endpoints.change(&nobody, &change).await,
        Err(Error::NoEndpoint(_))
    ));
    assert!(matches!(
        endpoints.undelivered(&nobody).await,
        Err(Error::NoEndpoint(_))
    ));
    assert!(matches!(
        endpoints.remove(&nobody).await,
        Err(Error::NoEndpoint(_))
    ));
}
