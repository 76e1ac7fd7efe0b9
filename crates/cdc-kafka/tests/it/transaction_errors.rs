//! The coordinator refuses steps of a transaction: some for the moment, some for good.

use std::time::{Duration, Instant};

use cdc_kafka::{
    Disposition, Error, KafkaOptions, Limits, PoisonReason, TransactionError, TransactionTimeout,
    TransactionalId, TransactionalProducer,
};
use rdkafka::types::RDKafkaApiKey::{AddPartitionsToTxn, EndTxn, InitProducerId, Produce};
use rdkafka::types::RDKafkaRespErr::{
    self, RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_UNKNOWN,
    RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
};

use crate::reading::read_all;
use crate::setup::{Mock, mock, record, soon};
use crate::transmitter::{Transmitter, unique_id};

async fn transmitter(options: &KafkaOptions) -> Transmitter {
    Transmitter::open_with(options, Limits::default(), &unique_id()).await
}

/// Commits one record while the coordinator answers `errors` first.
async fn commit_through(
    errors: &[RDKafkaRespErr],
) -> (Mock, Transmitter, Result<(), TransactionError>) {
    let (cluster, options) = mock("t");
    let mut sender = transmitter(&options).await;
    sender.producer.begin().unwrap();
    sender.send(record("t", b"k", b"v")).await;
    sender.drain().await;
    cluster.request_errors(EndTxn, errors);
    let committed = soon(sender.producer.commit()).await;
    (cluster, sender, committed)
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_a_commit_again_until_the_coordinator_takes_it() {
    let (_cluster, mut sender, committed) = commit_through(&[
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
        RD_KAFKA_RESP_ERR__TRANSPORT,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
    ])
    .await;
    committed.unwrap();
    sender.producer.begin().unwrap();
    sender.send(record("t", b"k", b"v")).await;
    soon(sender.producer.commit()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_fenced_ends_the_producer() {
    let (_cluster, mut sender, committed) =
        commit_through(&[RD_KAFKA_RESP_ERR_PRODUCER_FENCED]).await;
    let fenced = committed.unwrap_err();
    assert!(matches!(fenced, TransactionError::Fenced(_)), "{fenced:?}");
    let fatal = sender.producer.fatal().expect("the producer is useless");
    assert_eq!(fatal.disposition(), Disposition::Rebuild);
    let refused = soon(sender.producer.abort()).await.unwrap_err();
    assert!(matches!(refused, Error::OutOfTurn { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_not_authorised_is_fatal_for_good() {
    let refusal = [RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED];
    let (_cluster, _sender, committed) = commit_through(&refusal).await;
    let fatal = committed.unwrap_err();
    assert!(matches!(fatal, TransactionError::Fatal(_)), "{fatal:?}");
    assert_eq!(fatal.error().disposition(), Disposition::Permanent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_may_be_aborted_and_sent_again() {
    let (_cluster, mut sender, committed) =
        commit_through(&[RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID]).await;
    let failed = committed.unwrap_err();
    assert!(
        matches!(failed, TransactionError::Abortable(_)),
        "{failed:?}"
    );
    assert_eq!(failed.error().disposition(), Disposition::Rebuild);
    soon(sender.producer.abort()).await.unwrap();
    for _ in 0..2 {
        sender.producer.begin().unwrap();
        sender.send(record("t", b"k", b"v")).await;
        soon(sender.producer.commit()).await.unwrap();
    }
    assert!(sender.producer.fatal().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_an_abort_again_until_the_coordinator_takes_it() {
    let (cluster, options) = mock("t");
    let mut sender = transmitter(&options).await;
    sender.producer.begin().unwrap();
    sender.send(record("t", b"k", b"v")).await;
    sender.drain().await;
    cluster.request_errors(
        EndTxn,
        &[
            RD_KAFKA_RESP_ERR_UNKNOWN,
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_UNKNOWN,
        ],
    );
    soon(sender.producer.abort()).await.unwrap();
    sender.producer.begin().unwrap();
    soon(sender.producer.commit()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_producer_says_so_at_once_to_who_waits_for_deliveries() {
    let (cluster, options) = mock("t");
    let mut sender = transmitter(&options).await;
    sender.producer.begin().unwrap();
    cluster.request_errors(AddPartitionsToTxn, &[RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
    sender.send(record("t", b"k", b"v")).await;
    let started = Instant::now();
    soon(sender.producer.producer().delivered()).await;
    assert!(
        started.elapsed() < Duration::from_millis(450),
        "not only when somebody looks: {:?}",
        started.elapsed()
    );
    let fenced = soon(sender.producer.commit()).await.unwrap_err();
    assert!(matches!(fenced, TransactionError::Fenced(_)), "{fenced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_that_failed_a_transaction_is_told_from_the_others() {
    let (cluster, options) = mock("t");
    let mut sender = transmitter(&options).await;
    sender.producer.begin().unwrap();
    cluster.request_errors(Produce, &[RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let large = sender.send(record("t", b"k", b"large")).await;
    sender.drain().await;
    let failed = soon(sender.producer.commit()).await.unwrap_err();
    assert!(
        matches!(failed, TransactionError::Abortable(_)),
        "{failed:?}"
    );
    soon(sender.producer.abort()).await.unwrap();

    let [delivery] = &sender.failed[..] else {
        panic!("{:?}", sender.failed)
    };
    assert_eq!(delivery.sequence, large);
    let error = delivery.result.as_ref().unwrap_err();
    assert_eq!(
        error.disposition(),
        Disposition::Poison(PoisonReason::TooLarge)
    );
    let returned = delivery.record.as_ref().unwrap();
    assert_eq!(returned.value.as_deref(), Some(&b"large"[..]));

    sender.producer.begin().unwrap();
    sender.send(record("t", b"k", b"small")).await;
    soon(sender.producer.commit()).await.unwrap();
    let seen = read_all(&options.brokers, "t", 1).await;
    let values: Vec<_> = seen.into_iter().filter_map(|record| record.value).collect();
    assert_eq!(values, [b"small".to_vec()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_says_why_the_transaction_had_failed_before() {
    let (cluster, options) = mock("t");
    let mut sender = transmitter(&options).await;
    sender.producer.begin().unwrap();
    cluster.request_errors(
        AddPartitionsToTxn,
        &[RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    sender.send(record("t", b"k", b"v")).await;
    let failed = soon(sender.producer.commit()).await.unwrap_err();
    let why = format!("{failed:?}");
    assert!(why.contains("TopicAuthorizationFailed"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn opens_once_the_coordinator_is_ready() {
    let (cluster, options) = mock("t");
    cluster.request_errors(
        InitProducerId,
        &[
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
            RD_KAFKA_RESP_ERR__TRANSPORT,
        ],
    );
    let mut sender = transmitter(&options).await;
    sender.producer.begin().unwrap();
    soon(sender.producer.commit()).await.unwrap();
}

async fn open(options: &KafkaOptions, deadline: Duration) -> Result<TransactionalProducer, Error> {
    let id = TransactionalId::new("id").unwrap();
    let timeout = TransactionTimeout::DEFAULT;
    let open = TransactionalProducer::open(options, Limits::default(), &id, timeout, deadline);
    soon(open).await
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_up_opening_in_time_and_says_where() {
    let deadline = Duration::from_millis(700);
    let started = Instant::now();
    let error = open(&KafkaOptions::new("127.0.0.1:1"), deadline)
        .await
        .unwrap_err();
    assert!(started.elapsed() >= deadline);
    assert!(started.elapsed() < deadline * 5, "{:?}", started.elapsed());
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert_eq!(error.disposition(), Disposition::Transient);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_may_not_be_used_is_refused_for_good() {
    let (cluster, options) = mock("t");
    let refusal = [RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED; 2];
    cluster.request_errors(InitProducerId, &refusal);
    let error = open(&options, Duration::from_secs(30)).await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Permanent, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lets_go_in_time_of_a_coordinator_that_does_not_answer() {
    let (cluster, options) = mock("t");
    let mut sender = transmitter(&options).await;
    sender.producer.begin().unwrap();
    sender.send(record("t", b"k", b"v")).await;
    sender.drain().await;
    cluster.broker_down(-1).unwrap();
    let commit = tokio::time::timeout(Duration::from_millis(100), sender.producer.commit()).await;
    assert!(commit.is_err(), "nobody can have taken it: {commit:?}");
    let deadline = Duration::from_secs(6);
    let started = Instant::now();
    assert!(
        sender.producer.close(deadline).await,
        "still there after {:?}",
        started.elapsed()
    );
}
