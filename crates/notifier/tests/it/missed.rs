//! What an endpoint missed while it was disabled, for whoever sends it again.

use cdc_event::{KafkaPosition, Record};
use notifier::{
    Deliveries, DeliveryState, EndpointId, MissedCount, MissedEvent, MissedFilter, event_id,
};

use crate::stage::{Stage, handle, part, record};

fn at(id: &str, topic: &str, partition: i32, offset: i64) -> Record {
    Record {
        origin: KafkaPosition {
            topic: topic.into(),
            partition,
            offset,
        },
        ..record(id)
    }
}

fn id() -> EndpointId {
    EndpointId::new("a").unwrap()
}

async fn all(deliveries: &mut Deliveries) -> Vec<MissedEvent> {
    let filter = MissedFilter::default();
    deliveries.missed(&id(), &filter, None, 100).await.unwrap()
}

fn ids(events: &[MissedEvent]) -> Vec<&str> {
    events.iter().map(|event| &*event.event_id).collect()
}

#[tokio::test]
async fn is_read_in_the_order_of_its_records_page_by_page() {
    let stage = Stage::new().await;
    stage
        .endpoint_with(
            "a",
            "state = 'disabled', disabled_reason = 'x', disabled_at = now()",
        )
        .await;
    stage
        .endpoint_with(
            "b",
            "state = 'disabled', disabled_reason = 'x', disabled_at = now()",
        )
        .await;
    let notifier = stage.notifier().await;
    let records = [
        at("5", "posts", 10, 2),
        at("4", "posts", 9, 10),
        at("3", "posts", 9, 9),
        at("1", "a[1]@2", 0, 7),
        at("2", "posts", 0, 1),
    ];
    for record in &records {
        handle(&notifier, record).await.unwrap();
        assert_eq!(
            event_id(record).as_deref(),
            Some(
                &*String::from_utf8(record.headers.last("id").unwrap().value.clone().unwrap())
                    .unwrap()
            )
        );
    }
    stage
        .database
        .execute(
            "INSERT INTO cdc.delivery (event_id, endpoint_id, state, code, origin, at_most_once) VALUES
                 ('no-place', 'a', 'missed', 'endpoint-disabled', NULL, false),
                 ('odd-place', 'a', 'missed', 'endpoint-disabled', 'somewhere', false)",
        )
        .await;
    let mut deliveries = stage.deliveries();
    let none = MissedFilter::default();
    let count = deliveries.count_missed(&id(), &none).await.unwrap();
    assert_eq!((count.events, count.nowhere), (5, 2));

    let mut pages = Vec::new();
    let mut last: Option<MissedEvent> = None;
    loop {
        let page = deliveries
            .missed(&id(), &none, last.as_ref(), 2)
            .await
            .unwrap();
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
        pages.extend(page);
    }
    assert_eq!(ids(&pages), ["1", "2", "3", "4", "5"]);
    let origins: Vec<_> = pages.into_iter().map(|event| event.origin).collect();
    let expected = [3, 4, 2, 1, 0].map(|index: usize| records[index].origin.clone());
    assert_eq!(origins, expected);

    let filter = MissedFilter {
        topic: Some("a[1]@2".into()),
        ..none
    };
    let found = deliveries.missed(&id(), &filter, None, 9).await.unwrap();
    assert_eq!(ids(&found), ["1"]);
}

#[tokio::test]
async fn can_be_chosen_by_when_it_was_missed() {
    let stage = Stage::new().await;
    stage
        .endpoint_with(
            "a",
            "state = 'disabled', disabled_reason = 'x', disabled_at = now()",
        )
        .await;
    let notifier = stage.notifier().await;
    for offset in 0..3 {
        handle(&notifier, &at(&offset.to_string(), "posts", 0, offset))
            .await
            .unwrap();
    }
    stage
        .database
        .execute("UPDATE cdc.delivery SET changed_at = now() - interval '2 days' * event_id::int")
        .await;
    let mut deliveries = stage.deliveries();
    let days = |days: u64| Some(std::time::Duration::from_secs(days * 86_400));
    for (older_than, newer_than, expected) in [
        (days(1), None, &["1", "2"][..]),
        (None, days(3), &["0", "1"]),
        (days(1), days(3), &["1"]),
        (None, Some(std::time::Duration::MAX), &["0", "1", "2"]),
    ] {
        let filter = MissedFilter {
            older_than,
            newer_than,
            topic: None,
        };
        let found = deliveries.missed(&id(), &filter, None, 9).await.unwrap();
        assert_eq!(ids(&found), expected);
        let expected = MissedCount {
            events: expected.len() as u64,
            nowhere: 0,
        };
        assert_eq!(
            deliveries.count_missed(&id(), &filter).await.unwrap(),
            expected
        );
    }
}

#[tokio::test]
async fn comes_again_once_however_often_it_is_sent_and_what_is_missed_anew_stays_missed() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage.notifier().await;
    stage.endpoints().disable(&id(), "x").await.unwrap();
    for offset in 1..=3 {
        handle(&notifier, &at(&offset.to_string(), "posts", 0, offset))
            .await
            .unwrap();
    }
    let mut deliveries = stage.deliveries();
    let seen = all(&mut deliveries).await;
    // The second comes again and is missed once more before anybody could note that it comes again.
    handle(&notifier, &part("2", "a")).await.unwrap();
    assert_eq!(stage.state("2", "a").await, Some(DeliveryState::Missed));
    let missed = stage.endpoints().enable(&id()).await.unwrap();
    assert_eq!((missed.failed, missed.while_disabled), (0, 3));
    // The third was faster.
    handle(&notifier, &part("3", "a")).await.unwrap();
    let events: Vec<_> = seen.iter().collect();
    assert_eq!(deliveries.come_again(&id(), &events).await.unwrap(), 1);
    let states = [
        stage.state("1", "a").await,
        stage.state("2", "a").await,
        stage.state("3", "a").await,
    ];
    let expected = [
        DeliveryState::Retrying,
        DeliveryState::Missed,
        DeliveryState::Delivered,
    ];
    assert_eq!(states, expected.map(Some));
    assert_eq!(ids(&all(&mut deliveries).await), ["2"]);
    for _ in 0..2 {
        for event in ["1", "2", "3"] {
            handle(&notifier, &part(event, "a")).await.unwrap();
        }
    }
    assert_eq!(stage.receiver.ids("a"), ["3", "1", "2"]);
    assert_eq!(all(&mut deliveries).await, []);
}
