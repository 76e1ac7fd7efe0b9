//! A broker refuses records: some for the moment, some for good, some with the producer.

use cdc_event::Sequence;
use cdc_kafka::{
    Disposition, Error, HeaderRef, InFlight, KafkaOptions, Limits, OrderedProducer, OutgoingRecord,
    OwnedHeader, OwnedRecord, Partition, PoisonReason, SendError,
};
use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr;

use crate::reading::read_all;
use crate::setup::{DEADLINE, Sender, TestTopic, brokers, mock, record, soon, unique_name};

fn sender(options: &KafkaOptions) -> Sender {
    Sender::new(OrderedProducer::new(options, Limits::default()).unwrap())
}

fn disposition(sender: &Sender, sequence: Sequence) -> Disposition {
    sender.deliveries[&sequence]
        .result
        .as_ref()
        .unwrap_err()
        .disposition()
}

/// The numbers that the mock's topic `t` holds.
async fn numbers(options: &KafkaOptions) -> Vec<u32> {
    let number = |value: Vec<u8>| u32::from_be_bytes(value.try_into().unwrap());
    let received = read_all(&options.brokers, "t", 1).await;
    received
        .into_iter()
        .map(|record| number(record.value.unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_what_passes_and_keeps_the_order() {
    const ERRORS: [RDKafkaRespErr; 7] = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
    ];
    const RECORDS: u32 = 5_000;
    let (cluster, mut options) = mock("t");
    // Small batches, so that several are on their way when one fails.
    options
        .producer
        .insert("batch.num.messages".into(), "10".into());
    options.producer.insert("linger.ms".into(), "0".into());
    options
        .producer
        .insert("retry.backoff.ms".into(), "5".into());
    options
        .producer
        .insert("retry.backoff.max.ms".into(), "20".into());
    let mut sender = sender(&options);
    for number in 0..RECORDS {
        if number % 1_000 == 500 {
            cluster.request_errors(Produce, &ERRORS);
        }
        sender.send(record("t", b"k", &number.to_be_bytes())).await;
    }
    sender.drain().await;

    assert!(
        sender
            .deliveries
            .values()
            .all(|delivery| delivery.result.is_ok())
    );
    assert_eq!(numbers(&options).await, (0..RECORDS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_broker_finds_too_large_is_poison_and_the_next_one_passes() {
    let (cluster, options) = mock("t");
    cluster.request_errors(
        Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE],
    );
    let mut sender = sender(&options);
    let large = sender.send(record("t", b"k", &0_u32.to_be_bytes())).await;
    sender.drain().await;
    sender.send(record("t", b"k", &1_u32.to_be_bytes())).await;
    sender.drain().await;

    assert_eq!(
        disposition(&sender, large),
        Disposition::Poison(PoisonReason::TooLarge)
    );
    assert!(sender.producer.fatal().is_none());
    assert_eq!(numbers(&options).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_may_not_be_written_to_is_poison() {
    let (cluster, options) = mock("t");
    cluster.request_errors(
        Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    let mut sender = sender(&options);
    let refused = sender.send(record("t", b"k", b"v")).await;
    sender.drain().await;

    assert_eq!(
        disposition(&sender, refused),
        Disposition::Poison(PoisonReason::NotAuthorised)
    );
    let error = sender.deliveries[&refused].result.as_ref().unwrap_err();
    assert!(error.to_string().contains("\"t\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_comes_back_as_it_was_sent() {
    let (cluster, options) = mock("t");
    cluster.request_errors(
        Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE],
    );
    let every_byte: Vec<u8> = (0..=255).collect();
    let headers = [
        HeaderRef {
            name: "id",
            value: Some(&every_byte),
        },
        HeaderRef {
            name: "null",
            value: None,
        },
    ];
    let full = OutgoingRecord {
        partition: Some(Partition(0)),
        headers: &headers,
        ..record("t", &every_byte, b"")
    };
    let mut sender = sender(&options);
    let refused = sender.send(full).await;
    sender.drain().await;
    let returned = sender.deliveries[&refused].record.clone().unwrap();
    let owned = |header: &HeaderRef<'_>| OwnedHeader {
        name: header.name.into(),
        value: header.value.map(Into::into),
    };
    let expected = OwnedRecord {
        topic: "t".into(),
        partition: Some(Partition(0)),
        key: Some(every_byte[..].into()),
        value: Some(Box::default()),
        headers: headers.iter().map(owned).collect(),
    };
    assert_eq!(*returned, expected);
    assert_eq!(sender.producer.in_flight(), InFlight::default());

    cluster.request_errors(
        Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE],
    );
    let bare = OutgoingRecord {
        key: None,
        value: None,
        ..record("t", b"", b"")
    };
    let bare = sender.send(bare).await;
    sender.drain().await;
    let delivered = sender.send(full).await;
    sender.drain().await;
    let returned = sender.deliveries[&bare].record.clone().unwrap();
    assert_eq!((returned.key, returned.value), (None, None));
    assert!(returned.headers.is_empty());
    assert_eq!(sender.deliveries[&delivered].record, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_producer_says_so_and_the_next_one_goes_on() {
    let (cluster, options) = mock("t");
    let mut sender = sender(&options);
    sender.send(record("t", b"k", &0_u32.to_be_bytes())).await;
    sender.drain().await;
    cluster.request_errors(
        Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    let failed = sender.send(record("t", b"k", &1_u32.to_be_bytes())).await;
    sender.drain().await;

    assert_eq!(disposition(&sender, failed), Disposition::Rebuild);
    // Resolves although every delivery has been taken: who waits must learn of the end.
    soon(sender.producer.delivered()).await;
    let fatal = sender.producer.fatal().expect("the producer is useless");
    assert_eq!(fatal.disposition(), Disposition::Rebuild);
    let refused = sender
        .producer
        .try_send(record("t", b"k", b""), Sequence::new(9));
    match refused {
        Err(SendError::Failed(error)) => assert_eq!(error.disposition(), Disposition::Rebuild),
        other => panic!("{other:?}"),
    }

    assert!(sender.producer.close(DEADLINE).await);
    let mut rebuilt = Sender::new(OrderedProducer::new(&options, Limits::default()).unwrap());
    rebuilt.send(record("t", b"k", &1_u32.to_be_bytes())).await;
    rebuilt.drain().await;
    assert!(rebuilt.watermark.is_idle());
    assert_eq!(numbers(&options).await, [0, 1]);
}

#[tokio::test]
async fn refuses_a_record_that_can_never_be_sent_and_takes_the_next() {
    let producer = OrderedProducer::new(&KafkaOptions::new("127.0.0.1:1"), Limits::default());
    let producer = producer.unwrap();
    let nul = [HeaderRef {
        name: "a\0b",
        value: None,
    }];
    let good = record("t", b"k", b"v");
    let too_large = vec![0; 2_000_000];
    for (bad, reason) in [
        (
            OutgoingRecord {
                headers: &nul,
                ..good
            },
            PoisonReason::InvalidRecord,
        ),
        (
            OutgoingRecord {
                topic: "a\0b",
                ..good
            },
            PoisonReason::InvalidRecord,
        ),
        (
            OutgoingRecord {
                value: Some(&too_large),
                ..good
            },
            PoisonReason::TooLarge,
        ),
    ] {
        let before = producer.in_flight();
        match producer.try_send(bad, Sequence::new(0)) {
            Err(SendError::Failed(error)) => {
                assert_eq!(
                    error.disposition(),
                    Disposition::Poison(reason),
                    "{error:?}"
                );
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            producer.in_flight(),
            before,
            "what is refused is not in flight"
        );
        producer.try_send(good, Sequence::new(1)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_topic_or_partition_is_poison() {
    let topic = TestTopic::create("few", 2).await;
    let missing = unique_name("missing");
    let mut options = KafkaOptions::new(brokers());
    options
        .producer
        .insert("topic.metadata.propagation.max.ms".into(), "500".into());
    let mut sender = sender(&options);
    let no_topic = sender.send(record(&missing, b"k", b"v")).await;
    let good = record(&topic.name, b"k", b"v");
    let no_partition = OutgoingRecord {
        partition: Some(Partition(2)),
        ..good
    };
    let no_partition = sender.send(no_partition).await;
    let invalid_name = sender.send(record("not/a/topic", b"k", b"v")).await;
    let good = sender.send(good).await;
    sender.drain().await;

    assert_eq!(
        disposition(&sender, no_topic),
        Disposition::Poison(PoisonReason::UnknownTopic)
    );
    assert_eq!(
        disposition(&sender, no_partition),
        Disposition::Poison(PoisonReason::InvalidRecord)
    );
    assert_eq!(
        disposition(&sender, invalid_name),
        Disposition::Poison(PoisonReason::InvalidRecord)
    );
    assert!(sender.deliveries[&good].result.is_ok());
    let error = sender.deliveries[&no_topic].result.as_ref().unwrap_err();
    assert!(
        matches!(error, Error::Record { topic, .. } if **topic == *missing),
        "{error:?}"
    );
}
