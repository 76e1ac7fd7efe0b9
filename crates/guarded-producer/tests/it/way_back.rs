//! Events go directly again when the relay has delivered the stored ones, and not before.

use std::time::Duration;

use guarded_producer::{Placed, Way};

use crate::relay::{deliver, deliver_always, deliver_every};
use crate::stage::{Stage, event, send_all, until};

/// More than the looks at the relay take that would lead back.
const SEVERAL_LOOKS: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn stays_with_the_outbox_until_the_relay_has_delivered_the_last_event() {
    let stage = Stage::new().await;
    let producer = stage.start(stage.settings());
    let started = std::time::Instant::now();
    let mut stored = 0;
    // Kafka is well all the time.
    while started.elapsed() < SEVERAL_LOOKS {
        assert_eq!(producer.send(event(stored)).await.unwrap(), Placed::Stored);
        stored += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What was delivered until now is not enough.
    deliver(&stage.database, &stage.slot).await;
    assert_eq!(producer.send(event(stored)).await.unwrap(), Placed::Stored);
    stored += 1;

    let _relay = deliver_always(&stage.database, &stage.slot).await;
    until("the direct way", async || producer.way() == Way::Direct).await;
    match producer.send(event(stored)).await.unwrap() {
        Placed::Sent(place) => assert_eq!(place.offset.0, 0),
        Placed::Stored => panic!("stored"),
    }
    let told = format!("left start stored {stored}");
    assert_eq!(stage.heard.all(), ["start", told.as_str()]);
}

/// The last process may have left events there that are not delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_waits_for_what_the_last_one_has_stored() {
    let stage = Stage::new().await;
    let first = stage.start(stage.settings());
    assert_eq!(first.send(event(0)).await.unwrap(), Placed::Stored);
    first.close().await;
    let second = stage.start(stage.settings());
    until("a look at the relay", async || {
        !stage.heard.all().is_empty()
    })
    .await;
    assert_eq!(second.send(event(1)).await.unwrap(), Placed::Stored);
    assert_eq!(second.way(), Way::Outbox);
}

#[tokio::test(flavor = "multi_thread")]
async fn comes_back_while_no_events_come_and_the_relay_confirms_once_a_second() {
    let stage = Stage::new().await;
    let producer = stage.start(stage.settings());
    assert_eq!(producer.send(event(0)).await.unwrap(), Placed::Stored);
    let second = Duration::from_secs(1);
    let _relay = deliver_every(second, &stage.database, &stage.slot).await;
    until("the direct way", async || producer.way() == Way::Direct).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comes_back_while_events_keep_coming_and_keeps_their_order() {
    let stage = Stage::new().await;
    let producer = stage.start(stage.settings());
    assert_eq!(producer.send(event(0)).await.unwrap(), Placed::Stored);
    until("a look at the relay", async || {
        !stage.heard.all().is_empty()
    })
    .await;
    let _relay = deliver_always(&stage.database, &stage.slot).await;
    let mut number = 1;
    let mut sent = 0;
    while sent < 50 {
        let answers = send_all(&producer, (number..number + 10).map(event)).await;
        number += 10;
        let places: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let stored = places.iter().filter(|placed| **placed == Placed::Stored);
        let stored = stored.count();
        assert!(
            !places[stored..].contains(&Placed::Stored) && (sent == 0 || stored == 0),
            "an event was stored after one that was sent: {places:?}"
        );
        sent += 10 - stored;
        assert!(number < 20_000, "it never comes back");
    }
    let first = number - u32::try_from(sent).unwrap();
    let values = stage
        .topic
        .received()
        .await
        .into_iter()
        .map(|record| record.value);
    assert!(values.eq((first..number).map(|number| Some(number.to_string()))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_does_not_exist_keeps_events_in_the_outbox() {
    let stage = Stage::new().await;
    let mut settings = stage.settings();
    settings.slots.push(stage.database.slot("missing"));
    let _relay = deliver_always(&stage.database, &stage.slot).await;
    let producer = stage.start(settings);
    until("a look at the relay", async || {
        !stage.heard.all().is_empty()
    })
    .await;
    assert_eq!(producer.send(event(0)).await.unwrap(), Placed::Stored);
    assert_eq!(producer.way(), Way::Outbox);
}
