//! Kafka goes away, or was never there.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use cdc_event::Sequence;
use cdc_kafka::{Disposition, Error, KafkaOptions, Limits, OrderedProducer};

use crate::reading::read_all;
use crate::setup::{Sender, mock, record, soon};

/// A tenth of what librdkafka would wait for a broker.
const QUICK: Duration = Duration::from_secs(3);

fn with_records_in_flight(options: &KafkaOptions) -> OrderedProducer {
    let producer = OrderedProducer::new(options, Limits::default()).unwrap();
    for number in 0..10_000 {
        producer
            .try_send(record("t", b"k", &[0; 500]), Sequence::new(number))
            .unwrap();
    }
    producer
}

/// Drops one such producer and closes another, each in time.
async fn lets_go_quickly(make: impl Fn() -> OrderedProducer) {
    let dropped = make();
    let started = Instant::now();
    drop(dropped);
    assert!(
        started.elapsed() < Duration::from_millis(100),
        "{:?}",
        started.elapsed()
    );

    let closed = make();
    let started = Instant::now();
    assert!(
        closed.close(QUICK).await,
        "still there after {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn lets_go_of_a_broker_that_refuses_connections() {
    let options = KafkaOptions::new("127.0.0.1:1");
    lets_go_quickly(|| with_records_in_flight(&options)).await;
}

#[tokio::test]
async fn lets_go_of_a_broker_that_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = KafkaOptions::new(silent.local_addr().unwrap().to_string());
    lets_go_quickly(|| {
        let producer = with_records_in_flight(&options);
        // The connection is made, and waits for an answer.
        silent.accept().unwrap();
        producer
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lets_go_of_a_broker_that_went_down() {
    let (cluster, options) = mock("t");
    let mut sender = Sender::new(OrderedProducer::new(&options, Limits::default()).unwrap());
    sender.send(record("t", b"k", b"v")).await;
    sender.drain().await;
    cluster.broker_down(-1).unwrap();
    for _ in 0..10_000 {
        sender.send(record("t", b"k", &[0; 500])).await;
    }
    assert!(sender.producer.close(QUICK).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_what_is_given_up_as_it_was_sent_and_what_is_acknowledged_as_delivered() {
    let (cluster, options) = mock("t");
    let mut sender = Sender::new(OrderedProducer::new(&options, Limits::default()).unwrap());
    let delivered = sender.send(record("t", b"k", b"here")).await;
    sender.drain().await;
    cluster.broker_down(-1).unwrap();
    for number in 0..1_000_u32 {
        sender.send(record("t", b"k", &number.to_be_bytes())).await;
    }
    let started = Instant::now();
    sender.producer.give_up();
    sender.drain().await;
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");

    assert!(sender.deliveries[&delivered].result.is_ok());
    let given_up = sender.deliveries.values().skip(1);
    let values = given_up.map(|delivery| {
        let error = delivery.result.as_ref().unwrap_err();
        assert_eq!(error.disposition(), Disposition::Rebuild, "{error:?}");
        assert_eq!(delivery.place, None);
        delivery.record.as_ref().unwrap().value.clone().unwrap()
    });
    let sent = (0..1_000_u32).map(|number| number.to_be_bytes().into());
    assert!(values.eq(sent));
}

#[tokio::test]
async fn reports_which_broker_gives_trouble() {
    let options = KafkaOptions::new("127.0.0.1:1");
    let producer = OrderedProducer::new(&options, Limits::default()).unwrap();
    let error = soon(async {
        loop {
            let reachability = producer.reachability();
            if let (Some((error, _)), true) =
                (reachability.last_error, reachability.all_brokers_down)
            {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(matches!(error, Error::Broker { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert_eq!(error.disposition(), Disposition::Transient);
    assert!(producer.fatal().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_order_over_outages_without_loss_or_repeat() {
    const RECORDS: u32 = 20_000;
    let (cluster, mut options) = mock("t");
    options
        .client
        .insert("reconnect.backoff.ms".into(), "10".into());
    options
        .client
        .insert("reconnect.backoff.max.ms".into(), "50".into());
    let limits = Limits {
        max_in_flight_records: 500,
        ..Limits::default()
    };
    let mut sender = Sender::new(OrderedProducer::new(&options, limits).unwrap());
    let (mut down, mut outages) = (false, 0);
    for number in 0..RECORDS {
        if number % 4_000 == 2_000 {
            cluster.broker_down(-1).unwrap();
            down = true;
        }
        if down && sender.producer.in_flight().records == limits.max_in_flight_records {
            cluster.broker_up(-1).unwrap();
            outages += 1;
            down = false;
        }
        sender.send(record("t", b"k", &number.to_be_bytes())).await;
    }
    assert_eq!(outages, 5, "each with as much in flight as allowed");
    sender.drain().await;

    assert!(sender.watermark.is_idle());
    assert!(
        !sender.producer.reachability().all_brokers_down,
        "it answers again"
    );
    let received = read_all(&options.brokers, "t", 1).await;
    let values: Vec<_> = received
        .into_iter()
        .map(|record| record.value.unwrap())
        .collect();
    assert_eq!(
        values,
        (0..RECORDS)
            .map(|number| number.to_be_bytes())
            .collect::<Vec<_>>()
    );
}
