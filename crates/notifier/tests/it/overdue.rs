//! An endpoint takes its time, and what it says in the end is heard.

use std::time::Duration;

use cdc_event::{Failure, HandlerError};
use notifier::{DeliveryState, DisabledReason, Notifier};

use crate::receiver::Behaviour;
use crate::stage::{Stage, handle, only_underway, part, record};

/// Longer than a record waits for an endpoint, shorter than the deadline of a request.
const LONG: Duration = Duration::from_millis(900);

/// An endpoint that answers so after its time; and a notifier that was told the event, and waits no longer.
async fn overdue(status: u16) -> (Stage, Notifier) {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage
        .receiver
        .set("a", Behaviour::AnswerAfter(LONG, status));
    let notifier = stage.notifier().await;
    let (code, after) = only_underway(handle(&notifier, &record("1")).await);
    assert_eq!(code, "delivery-overdue");
    assert!(after <= LONG, "{after:?}");
    let early = handle(&notifier, &part("1", "a")).await;
    assert!(
        matches!(&early, Err(Failure::Underway { error, .. }) if error.code().as_str() == "delivery-in-flight"),
        "{early:?}"
    );
    (stage, notifier)
}

fn told(error: &HandlerError) -> (String, String) {
    (error.code().to_string(), error.to_string())
}

#[tokio::test]
async fn what_arrived_late_is_done() {
    let (stage, notifier) = overdue(200).await;
    stage
        .wait_for_state("1", "a", DeliveryState::Delivered)
        .await;
    handle(&notifier, &part("1", "a")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1"]);
}

#[tokio::test]
async fn what_was_refused_late_fails_as_if_in_time_and_is_sent_only_when_it_is_asked_for_again() {
    let (stage, _notifier) = overdue(400).await;
    stage.wait_for_state("1", "a", DeliveryState::Failed).await;
    // The record may come to another process.
    let other = stage.notifier().await;
    let Err(Failure::Poison { error }) = handle(&other, &part("1", "a")).await else {
        panic!("it is not refused");
    };
    assert_eq!(
        told(&error),
        (
            "webhook-client-error".into(),
            "the endpoint answered 400".into()
        )
    );
    assert_eq!(stage.receiver.ids("a").len(), 1);
    assert_eq!(stage.state("1", "a").await, Some(DeliveryState::Failed));
    // A replay.
    stage.receiver.set("a", Behaviour::Answer(200));
    handle(&other, &part("1", "a")).await.unwrap();
    assert_eq!(stage.receiver.ids("a").len(), 2);
}

#[tokio::test]
async fn what_failed_late_counts_as_one_attempt() {
    let (stage, notifier) = overdue(503).await;
    stage
        .wait_for_state("1", "a", DeliveryState::Retrying)
        .await;
    stage.receiver.set("a", Behaviour::Answer(503));
    for requests in [1, 2, 3] {
        let Err(Failure::Transient { error, .. }) = handle(&notifier, &part("1", "a")).await else {
            panic!("it has not failed");
        };
        assert_eq!(
            told(&error),
            (
                "webhook-server-error".into(),
                "the endpoint answered 503".into()
            )
        );
        assert_eq!(stage.receiver.ids("a").len(), requests);
    }
}

/// A version before this one claims what was left untold, and does not take the mark away.
#[tokio::test]
async fn what_was_marked_as_untold_and_then_claimed_is_sent() {
    let (stage, notifier) = overdue(503).await;
    stage
        .wait_for_state("1", "a", DeliveryState::Retrying)
        .await;
    let claimed = "UPDATE cdc.delivery SET state = 'claimed', owner = 'gone', lease_until = now() - interval '1 s'";
    stage.database.execute(claimed).await;
    stage.receiver.set("a", Behaviour::Answer(200));
    handle(&notifier, &part("1", "a")).await.unwrap();
    assert_eq!(stage.receiver.ids("a").len(), 2);
}

#[tokio::test]
async fn what_was_refused_late_is_told_though_its_endpoint_is_disabled_by_it() {
    let (stage, notifier) = overdue(410).await;
    stage.wait_for_state("1", "a", DeliveryState::Failed).await;
    stage.alerts.wait_for(1).await;
    assert_eq!(stage.alerts.all(), [("a".to_owned(), DisabledReason::Gone)]);
    let told = handle(&notifier, &part("1", "a")).await;
    assert!(
        matches!(&told, Err(Failure::Poison { error }) if error.code().as_str() == "webhook-gone"),
        "{told:?}"
    );
    assert_eq!(stage.receiver.ids("a"), ["1"]);
}

#[tokio::test]
async fn what_failed_when_its_record_was_dropped_is_told_when_that_comes_again() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage
        .receiver
        .set("a", Behaviour::AnswerAfter(LONG / 3, 400));
    let notifier = stage.notifier().await;
    let part = part("1", "a");
    tokio::select! {
        ended = handle(&notifier, &part) => panic!("{ended:?}"),
        () = stage.receiver.wait_for(1) => {}
    }
    stage.wait_for_state("1", "a", DeliveryState::Failed).await;
    let told = handle(&notifier, &part).await;
    assert!(
        matches!(&told, Err(Failure::Poison { error }) if error.code().as_str() == "webhook-client-error"),
        "{told:?}"
    );
    assert_eq!(stage.receiver.ids("a"), ["1"]);
}
