//! Events that Kafka does not take.

use std::time::{Duration, Instant};

use guarded_producer::{Disposition, Event, Placed, SendError, Way};

use crate::relay::deliver_always;
use crate::stage::{SOON, Stage, event, send_all, until};

#[tokio::test(flavor = "multi_thread")]
async fn stores_what_is_not_acknowledged_in_time_in_the_order_of_sending_and_tells() {
    let stage = Stage::without_topic().await;
    let relay = deliver_always(&stage.database, &stage.slot).await;
    let producer = stage.start_directly(stage.impatient()).await;
    drop(relay);
    let events: Vec<_> = (0..600).map(event).collect();
    let ids: Vec<_> = events.iter().map(|event| event.id().to_string()).collect();
    let started = Instant::now();
    let answers = send_all(&producer, events).await;
    let took = started.elapsed();
    for answer in answers {
        assert_eq!(answer.unwrap(), Placed::Stored);
    }
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(stage.stored().await == ids, "in another order");
    assert_eq!(stage.heard.all(), ["timed_out"]);
    assert_eq!(producer.way(), Way::Outbox);

    let started = Instant::now();
    assert_eq!(producer.send(event(600)).await.unwrap(), Placed::Stored);
    let took = started.elapsed();
    assert!(
        took < Duration::from_millis(500),
        "nobody waits for Kafka any more: {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_accepted_is_kept_when_its_caller_goes_away() {
    let stage = Stage::without_topic().await;
    let relay = deliver_always(&stage.database, &stage.slot).await;
    let producer = stage.start_directly(stage.impatient()).await;
    drop(relay);
    let event = event(1);
    let id = event.id().to_string();
    let impatient = tokio::time::timeout(Duration::from_millis(50), producer.send(event)).await;
    assert!(impatient.is_err());
    until("the event in the outbox", async || {
        stage.stored().await == [id.as_str()]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_what_was_accepted() {
    let stage = Stage::without_topic().await;
    let relay = deliver_always(&stage.database, &stage.slot).await;
    let producer = stage.start_directly(stage.impatient()).await;
    drop(relay);
    let event = event(1);
    let id = event.id().to_string();
    let (answer, ()) = tokio::join!(producer.send(event), producer.close());
    assert_eq!(answer.unwrap(), Placed::Stored);
    assert_eq!(stage.stored().await, [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_session_is_cut_off_is_stored_by_the_next_one() {
    let stage = Stage::new().await;
    let producer = stage.start(stage.settings());
    let holder = stage.database.client().await;
    let lock = "BEGIN; LOCK TABLE cdc.outbox IN EXCLUSIVE MODE";
    holder.batch_execute(lock).await.unwrap();
    let cut_off = async {
        let sessions = "FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("the event to wait for the lock", async || {
            let count = format!("SELECT count(*) {sessions}");
            stage.database.text(&count).await.as_deref() == Some("1")
        })
        .await;
        let kill = format!("SELECT pg_terminate_backend(pid, 1000) {sessions}");
        stage.database.execute(&kill).await;
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (answer, ()) = tokio::join!(producer.send(event(1)), cut_off);
    assert_eq!(answer.unwrap(), Placed::Stored);
    assert_eq!(stage.stored().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_outbox_refuses_holds_up_no_other() {
    let stage = Stage::new().await;
    stage
        .database
        .execute("ALTER TABLE cdc.outbox ADD CHECK (type <> 'bad')")
        .await;
    let mut settings = stage.settings();
    settings.kafka.brokers = "127.0.0.1:1".into();
    let producer = stage.start(settings);
    let events = (0..20).map(|number| match number {
        7 => Event::new("order", "bad", None),
        _ => event(number),
    });
    for (index, answer) in send_all(&producer, events).await.into_iter().enumerate() {
        match answer {
            Err(error @ SendError::NotStored { .. }) if index == 7 => {
                assert_eq!(error.disposition(), Disposition::Poison);
            }
            Ok(Placed::Stored) if index != 7 => {}
            other => panic!("{index}: {other:?}"),
        }
    }
    assert_eq!(stage.stored().await.len(), 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_within_a_bounded_time_that_neither_took_it() {
    let stage = Stage::new().await;
    let mut settings = stage.settings();
    settings.kafka.brokers = "127.0.0.1:1".into();
    settings.postgres = "postgres://nobody@127.0.0.1:1/none".parse().unwrap();
    settings.store_timeout = Duration::from_millis(300);
    let producer = stage.start(settings);
    let started = Instant::now();
    let answer = tokio::time::timeout(SOON, producer.send(event(1)))
        .await
        .unwrap();
    let took = started.elapsed();
    match answer {
        Err(error @ SendError::NotStored { .. }) => {
            assert_eq!(error.disposition(), Disposition::Transient);
        }
        other => panic!("{other:?}"),
    }
    assert!(took < Duration::from_secs(2), "{took:?}");
}
