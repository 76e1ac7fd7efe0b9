//! Nobody waits for room longer than allowed.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use guarded_producer::{Event, GuardedProducer, Payload, Placed, SendError};

use crate::relay::deliver_always;
use crate::stage::{Stage, send_all};

/// An event of somewhat under 1 KiB.
fn event(number: usize) -> Event {
    let payload = Payload::of(&format!("{number:0>800}")).unwrap();
    Event::new("order", "order.paid", payload).with_key("7")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_sends_everything_to_the_outbox_in_order() {
    let stage = Stage::without_topic().await;
    let relay = deliver_always(&stage.database, &stage.slot).await;
    let mut settings = stage.settings();
    settings.buffer = 8 * 1024;
    settings.delivery_timeout = Duration::from_secs(60);
    let producer = stage.start_directly(settings).await;
    drop(relay);
    let events: Vec<_> = (0..20).map(event).collect();
    let ids: Vec<_> = events.iter().map(|event| event.id().to_string()).collect();
    let started = Instant::now();
    let answers = send_all(&producer, events).await;
    let took = started.elapsed();
    for answer in answers {
        assert_eq!(answer.unwrap(), Placed::Stored);
    }
    assert_eq!(stage.heard.all(), ["full"]);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(stage.stored().await == ids, "in another order");
}

/// Both accept connections and never say a word.
#[tokio::test(flavor = "multi_thread")]
async fn says_busy_after_the_block_time_when_nothing_moves() {
    let stage = Stage::new().await;
    let (kafka, postgres) = (silent(), silent());
    let mut settings = stage.settings();
    settings.kafka.brokers = kafka.local_addr().unwrap().to_string();
    let port = postgres.local_addr().unwrap().port();
    settings.postgres = format!("postgres://nobody@127.0.0.1:{port}/none")
        .parse()
        .unwrap();
    settings.buffer = 4 * 1024;
    settings.store_timeout = Duration::from_secs(60);
    let producer = stage.start(settings);
    let filled = send_all_for(Duration::from_millis(10), &producer, 4).await;
    assert_eq!(filled, 0, "nothing can be answered");
    let started = Instant::now();
    match producer.send(event(4)).await {
        Err(SendError::Busy { waited }) => assert!(waited >= Duration::from_millis(500)),
        other => panic!("{other:?}"),
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// Sends so many and waits so long. How many were answered.
async fn send_all_for(time: Duration, producer: &GuardedProducer, count: usize) -> usize {
    let answers = send_all(producer, (0..count).map(event));
    tokio::time::timeout(time, answers)
        .await
        .map_or(0, |answers| answers.len())
}

fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}
