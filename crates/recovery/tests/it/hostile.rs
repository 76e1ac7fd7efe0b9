//! Records of retry topics that were written by others.

use cdc_event::Headers;
use recovery::BlockingRetry;

use crate::cluster::{self, Sent, until};
use crate::subject::{Reply, Subject, millis};

/// What others might write, each under each of our names.
fn values() -> Vec<Option<Vec<u8>>> {
    vec![
        None,
        Some(Vec::new()),
        Some(b"x".to_vec()),
        Some((-1_i32).to_be_bytes().to_vec()),
        Some(i64::MAX.to_be_bytes().to_vec()),
        Some(i64::MIN.to_be_bytes().to_vec()),
        Some(b"9999999999999999999999".to_vec()),
        Some(b"4102444800000".to_vec()),
        Some(vec![0xFF; 9]),
        Some(vec![b'z'; 1_000]),
    ]
}

const NAMES: [&str; 12] = [
    "cdc-attempts",
    "cdc-first-failure",
    "cdc-not-before",
    "cdc-part",
    "cdc-failed-event",
    "cdc-error-code",
    "cdc-origin-topic",
    "cdc-origin-partition",
    "cdc-origin-offset",
    "cdc-origin-timestamp",
    "cdc-group",
    "kafka_dlt-original-topic",
];

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_make_no_sense_do_no_harm() {
    let mut subject = Subject::new("hostile", 1, BlockingRetry::None, &[millis(100); 2]).await;
    // However far ahead something is to be tried, nobody asked for it here.
    subject.settings.retry = subject
        .settings
        .retry
        .clone()
        .with_max_retry_after(millis(300));
    let running = subject.start(|_, _| Reply::transient());
    until("the topics are there", || {
        running.snapshot().retry_partitions == 2
    })
    .await;
    let mut records = Vec::new();
    for name in NAMES {
        for value in values() {
            let mut record = Sent::new(0, &records.len().to_string(), records.len());
            record.headers.push("own", Some(b"1".to_vec()));
            record.headers.push(name, value);
            records.push(record);
        }
    }
    let mut everything = Sent::new(0, "all", records.len());
    for name in NAMES {
        let value = i64::MAX.to_be_bytes().to_vec();
        everything.headers.push(name, Some(value));
    }
    records.push(everything);
    cluster::send(&subject.retry_topic(1), &records).await;
    until("all are dead letters", || {
        running.snapshot().dead_letters == records.len() as u64
    })
    .await;
    running.stop().await;

    assert_eq!(
        subject.calls.count(),
        2 * records.len(),
        "no record is tried more often than its tiers say"
    );
    for call in subject.calls.all() {
        let own: Vec<_> = call
            .record
            .headers
            .as_slice()
            .iter()
            .map(|header| header.name.as_str())
            .collect();
        assert!(
            own.iter()
                .all(|name| *name == "own" || name.starts_with("kafka_")),
            "{own:?}"
        );
        assert!(call.attempt.number.get() >= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_never_had_fewer_attempts_than_brought_it_to_its_tier() {
    let subject = Subject::new("floor", 1, BlockingRetry::None, &[millis(50); 3]).await;
    let running = subject.start(|_, _| Reply::transient());
    until("the topics are there", || {
        running.snapshot().retry_partitions == 3
    })
    .await;
    cluster::send(&subject.retry_topic(3), &[Sent::new(0, "k", "bare")]).await;
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    let calls = subject.calls.all();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].attempt.number.get(), 4);
    assert_eq!(calls[0].record.origin.topic, subject.retry_topic(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_makes_nothing_wait_for_longer_than_its_delay() {
    let subject = Subject::new("skew", 1, BlockingRetry::None, &[millis(300)]).await;
    let running = subject.start(|_, _| Reply::success());
    until("the topics are there", || {
        running.snapshot().retry_partitions == 1
    })
    .await;
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let hour = 3_600_000;
    let at = |key: &str, timestamp_ms| Sent {
        timestamp_ms: Some(timestamp_ms),
        ..Sent::new(0, key, key)
    };
    cluster::send(
        &subject.retry_topic(1),
        &[at("ahead", now + hour), at("behind", now - hour)],
    )
    .await;
    subject.calls.reach_successes(2).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_header_goes_along() {
    let subject = Subject::new("large-header", 1, BlockingRetry::None, &[millis(50)]).await;
    let mut record = Sent::new(0, "k", "v");
    let mut headers = Headers::new();
    headers.push("large", Some(vec![b'h'; 1_000_000]));
    record.headers = headers;
    let mut options = cluster::options();
    options
        .producer
        .insert("message.max.bytes".into(), "2000000".into());
    cluster::send_with(&options, &subject.topic, std::slice::from_ref(&record)).await;
    let running = subject.start(|_, _| Reply::transient());
    until("a dead letter", || running.snapshot().dead_letters == 1).await;
    running.stop().await;
    let dead = subject.dead_letters().await.remove(0);
    assert!(dead.headers.as_slice()[0] == record.headers.as_slice()[0]);
}
