//! A process that dies at the worst moments. Dropping the notifier is its death: nothing of it runs on.

use notifier::{DeliveryState, EndpointId, Notifier, Resolution};
use tokio::sync::watch;

use crate::receiver::Behaviour;
use crate::stage::{MARGIN, Stage, TIMEOUT, handle, only_part, only_underway, part, record};

/// Kills a notifier whose request has arrived and is not answered.
async fn die_in_flight(stage: &Stage, path: &str) {
    stage.receiver.set(path, Behaviour::Hang);
    let notifier = stage.notifier().await;
    let (before, record) = (stage.receiver.posts().len(), record("1"));
    tokio::select! {
        _ = handle(&notifier, &record) => {}
        () = stage.receiver.wait_for(before + 1) => {}
    }
    drop(notifier);
    stage.receiver.set(path, Behaviour::Answer(200));
}

/// Kills a notifier that was told 200 and cannot write it down.
async fn die_before_the_record(stage: &Stage, path: &str) {
    let (release, released) = watch::channel(false);
    stage.receiver.set(path, Behaviour::Hold(released));
    let (notifier, record) = (stage.notifier().await, record("1"));
    let handled = tokio::select! {
        handled = handle(&notifier, &record) => Some(handled),
        () = stage.receiver.wait_for(1) => None,
    };
    assert!(handled.is_none_or(|handled| handled.is_err()));
    let mut locking = stage.database.client().await;
    let lock = locking.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE cdc.delivery IN EXCLUSIVE MODE")
        .await
        .unwrap();
    release.send_replace(true);
    // The outcome is on its way to the database: it waits for the lock.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while stage.database.text(waiting).await.as_deref() == Some("0") {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // The server would go on with the statement of a client that died: this is a crash of both.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    stage.database.execute(end).await;
    drop(notifier);
    drop(lock);
    stage.receiver.set(path, Behaviour::Answer(200));
}

async fn after_the_lease(stage: &Stage) -> Notifier {
    stage.wait_for_leases().await;
    stage.notifier().await
}

#[tokio::test]
async fn killed_in_flight_an_endpoint_gets_it_again_with_the_same_id() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    die_in_flight(&stage, "a").await;
    let too_early = stage.notifier().await;
    let (code, after) = only_underway(handle(&too_early, &record("1")).await);
    assert_eq!(code, "delivery-in-flight");
    assert!(after <= TIMEOUT + MARGIN, "{after:?}");
    let notifier = after_the_lease(&stage).await;
    handle(&notifier, &record("1")).await.unwrap();
    handle(&notifier, &record("1")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1", "1"]);
}

#[tokio::test]
async fn killed_in_flight_an_endpoint_that_must_not_hear_twice_does_not_and_the_doubt_is_listed() {
    let stage = Stage::new().await;
    stage.endpoint_with("a", "guarantee = 'at_most_once'").await;
    die_in_flight(&stage, "a").await;
    let notifier = after_the_lease(&stage).await;
    for record in [record("1"), record("1")] {
        assert_eq!(
            only_part(handle(&notifier, &record).await),
            ("delivery-unknown".into(), false)
        );
    }
    assert!(
        handle(&notifier, &part("1", "a")).await.is_err(),
        "not even if it is asked for"
    );
    assert_eq!(stage.receiver.ids("a"), ["1"]);
    let listed = stage
        .deliveries()
        .in_trouble(DeliveryState::Unknown, None, None, 10)
        .await
        .unwrap();
    assert_eq!((listed.len(), listed[0].event_id.as_str()), (1, "1"));
}

#[tokio::test]
async fn somebody_settles_a_doubt() {
    for (resolution, posts) in [(Resolution::Arrived, 1), (Resolution::SendAgain, 2)] {
        let stage = Stage::new().await;
        stage.endpoint_with("a", "guarantee = 'at_most_once'").await;
        die_in_flight(&stage, "a").await;
        let notifier = after_the_lease(&stage).await;
        only_part(handle(&notifier, &record("1")).await);
        let id = EndpointId::new("a").unwrap();
        assert!(
            stage
                .deliveries()
                .resolve("1", &id, resolution)
                .await
                .unwrap()
        );
        assert!(
            !stage
                .deliveries()
                .resolve("1", &id, resolution)
                .await
                .unwrap()
        );
        handle(&notifier, &part("1", "a")).await.unwrap();
        assert_eq!(stage.receiver.ids("a").len(), posts, "{resolution:?}");
        assert_eq!(stage.state("1", "a").await, Some(DeliveryState::Delivered));
    }
}

#[tokio::test]
async fn killed_between_the_answer_and_the_record_the_same_holds() {
    for (guarantee, posts) in [("at_least_once", 2), ("at_most_once", 1)] {
        let stage = Stage::new().await;
        stage
            .endpoint_with("a", &format!("guarantee = '{guarantee}'"))
            .await;
        die_before_the_record(&stage, "a").await;
        assert_eq!(
            stage.state("1", "a").await,
            Some(DeliveryState::Claimed),
            "{guarantee}"
        );
        let notifier = after_the_lease(&stage).await;
        let handled = handle(&notifier, &record("1")).await;
        assert_eq!(handled.is_ok(), guarantee == "at_least_once");
        assert_eq!(stage.receiver.ids("a"), vec!["1"; posts], "{guarantee}");
    }
}

#[tokio::test]
async fn killed_before_it_was_sent_nothing_is_lost() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    stage
        .database
        .execute(
            "INSERT INTO cdc.delivery (event_id, endpoint_id, state, owner, lease_until, at_most_once)
             VALUES ('1', 'a', 'claimed', 'dead', now() - interval '1 second', false)",
        )
        .await;
    let notifier = stage.notifier().await;
    handle(&notifier, &record("1")).await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1"]);
}

#[tokio::test]
async fn who_lost_a_delivery_to_another_records_nothing_but_its_arrival() {
    for (status, state) in [
        (500, DeliveryState::Claimed),
        (200, DeliveryState::Delivered),
    ] {
        let stage = Stage::new().await;
        stage.endpoint("a").await;
        stage.receiver.set(
            "a",
            Behaviour::AnswerAfter(std::time::Duration::from_millis(600), status),
        );
        let notifier = stage.notifier().await;
        only_underway(handle(&notifier, &record("1")).await);
        // Another process took it over, as if this one had been asleep.
        stage
            .database
            .execute("UPDATE cdc.delivery SET owner = 'other', epoch = epoch + 1, lease_until = now() + interval '1 hour'")
            .await;
        assert!(notifier.close(std::time::Duration::from_secs(10)).await);
        assert_eq!(stage.state("1", "a").await, Some(state), "{status}");
    }
}
