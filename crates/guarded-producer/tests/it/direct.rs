//! Events that Kafka takes, and those that it refuses.

use cdc_kafka::TopicConfig;
use guarded_producer::{Event, InvalidEvent, Payload, Placed, SendError, Way};

use crate::relay::deliver_always;
use crate::stage::{Stage, event, send_all};
use crate::topic::Received;

#[tokio::test(flavor = "multi_thread")]
async fn says_where_an_event_is_that_kafka_has() {
    let stage = Stage::new().await;
    let _relay = deliver_always(&stage.database, &stage.slot).await;
    let producer = stage.start_directly(stage.settings()).await;
    let first = event(1).with_header("trace", "t".to_owned());
    let first_id = first.id().to_string();
    let places: Vec<_> = send_all(&producer, [first, event(2)])
        .await
        .into_iter()
        .map(|answer| match answer {
            Ok(Placed::Sent(place)) => (place.partition.0, place.offset.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(places, [(0, 0), (0, 1)]);
    let received = stage.topic.received().await;
    let text = |text: &str| text.to_owned();
    let expected = Received {
        key: Some(text("7")),
        value: Some(text("1")),
        headers: vec![(text("id"), first_id), (text("trace"), text("t"))],
    };
    assert_eq!(received[0], expected);
    assert_eq!(received.len(), 2);
    assert!(stage.stored().await.is_empty());
    producer.close().await;
    assert_eq!(stage.heard.all(), [""; 0], "all was well");
    assert!(matches!(
        producer.send(event(3)).await,
        Err(SendError::Closed)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_order_of_many() {
    let stage = Stage::new().await;
    let _relay = deliver_always(&stage.database, &stage.slot).await;
    let producer = stage.start_directly(stage.settings()).await;
    let answers = send_all(&producer, (0..2000).map(event)).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(Placed::Sent(_))))
    );
    let values = stage
        .topic
        .received()
        .await
        .into_iter()
        .map(|record| record.value);
    assert!(values.eq((0..2000).map(|number| Some(number.to_string()))));
}

/// It would be poison for the relay too, so it must not get into the outbox.
#[tokio::test(flavor = "multi_thread")]
async fn refuses_an_event_that_no_producer_may_send_whichever_way_events_go() {
    let stage = Stage::new().await;
    let producer = stage.start(stage.settings());
    assert_eq!(producer.way(), Way::Outbox);
    let large = Payload::of(&"x".repeat(2_000_000)).unwrap();
    let large = Event::new("order", "order.paid", large);
    let no_topic = Event::new("no topic", "order.paid", None);
    for (event, is_it) in [
        (
            large,
            (|why| matches!(why, InvalidEvent::TooLarge { .. })) as fn(&_) -> bool,
        ),
        (no_topic, |why| matches!(why, InvalidEvent::Record(_))),
    ] {
        match producer.send(event).await {
            Err(SendError::Invalid(why)) if is_it(&why) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(stage.stored().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_is_too_large_for_the_topic_and_only_that() {
    let stage = Stage::with_topic(TopicConfig::new().with("max.message.bytes", "10000")).await;
    let _relay = deliver_always(&stage.database, &stage.slot).await;
    let mut settings = stage.settings();
    let producer_properties = &mut settings.kafka.producer;
    producer_properties.insert("compression.type".into(), "none".into());
    // They shall share a batch.
    producer_properties.insert("linger.ms".into(), "100".into());
    let producer = stage.start_directly(settings).await;
    let large = Payload::of(&"x".repeat(20_000)).unwrap();
    let large = Event::new("order", "order.paid", large).with_key("7");
    let mut events: Vec<_> = (0..20).map(event).collect();
    events.insert(10, large);
    let answers = send_all(&producer, events).await;
    for (index, answer) in answers.into_iter().enumerate() {
        match answer {
            Err(SendError::Refused(_)) if index == 10 => {}
            Ok(Placed::Sent(_)) if index != 10 => {}
            other => panic!("{index}: {other:?}"),
        }
    }
    let values = stage
        .topic
        .received()
        .await
        .into_iter()
        .map(|record| record.value);
    assert!(values.eq((0..20).map(|number| Some(number.to_string()))));
    assert!(stage.stored().await.is_empty());
    assert_eq!(producer.way(), Way::Direct);
}
