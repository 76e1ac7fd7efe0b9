//! A member that no longer has the partition of what it deals with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cdc_event::{Attempt, Failure, Handler, Record};
use cdc_kafka::TopicConfig;
use recovery::BlockingRetry;
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Sent, create, quick, until};
use crate::subject::{FAILED, Reply, Running, Subject, error, millis};

/// Waits until each of two members has one of two partitions.
async fn shared_by(first: &Running, second: &Running) {
    until("each has a partition", || {
        [first, second]
            .iter()
            .all(|running| running.snapshot().partitions == 1)
    })
    .await;
}

fn count(letters: &[Sent]) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for letter in letters {
        *count.entry(letter.text()).or_default() += 1;
    }
    count
}

/// Holds records of its first calls until it is told, and then gives them up.
struct Late {
    began: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    end: CancellationToken,
}

impl Handler for Late {
    async fn handle(&self, _: &Record, _: Attempt) -> Result<(), Failure> {
        self.began.fetch_add(1, Ordering::SeqCst);
        self.end.cancelled().await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        Err(Failure::poison(error(FAILED)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_as_its_partition_goes_is_handed_over_by_the_next_owner_alone() {
    let options = quick(cluster::options());
    let mut subject = Subject::on(options, "late", 2, BlockingRetry::None, &[]).await;
    subject.settings.revoke_deadline = millis(300);
    let [began, ended] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let end = CancellationToken::new();
    let first = subject.start_handler(Late {
        began: Arc::clone(&began),
        ended: Arc::clone(&ended),
        end: end.clone(),
    });
    subject
        .send(&[Sent::new(0, "a", "0"), Sent::new(1, "b", "1")])
        .await;
    until("both are tried", || began.load(Ordering::SeqCst) == 2).await;
    let second = subject.start(|_, _| Reply::poison());
    shared_by(&first, &second).await;
    until("the next owner gives one up", || {
        second.snapshot().dead_letters == 1
    })
    .await;

    end.cancel();
    subject.until_committed(2).await;
    first.stop().await;
    second.stop().await;
    assert_eq!(
        ended.load(Ordering::SeqCst),
        1,
        "the other attempt was dropped with its partition"
    );
    let each_once = BTreeMap::from([("0".to_owned(), 1), ("1".to_owned(), 1)]);
    assert_eq!(count(&subject.dead_letters().await), each_once);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_as_its_partition_goes_is_handed_over_by_the_next_owner_alone() {
    let options = quick(cluster::options());
    let mut subject = Subject::on(options, "going", 2, BlockingRetry::None, &[]).await;
    subject.settings.revoke_deadline = millis(300);
    let topic = subject.dead_letter_topic();
    let limit = "max.message.bytes";
    create(&topic, 2, TopicConfig::new().with(limit, "100")).await;
    let first = subject.start(|_, _| Reply::poison());
    subject
        .send(&[Sent::new(0, "a", "0"), Sent::new(1, "b", "1")])
        .await;
    until("none is taken", || first.snapshot().stuck == 2).await;
    let second = subject.start(|_, _| Reply::poison());
    shared_by(&first, &second).await;
    until("it is the next owner's", || {
        (first.snapshot().stuck, second.snapshot().stuck) == (1, 1)
    })
    .await;
    assert_eq!(subject.committed().await, [0, 0]);

    cluster::configure(&topic, limit, "100000");
    subject.until_committed(2).await;
    let handed_over = [&first, &second].map(|running| running.snapshot().dead_letters);
    assert_eq!(handed_over, [1, 1]);
    first.stop().await;
    second.stop().await;
    assert_eq!(subject.calls.count(), 3, "one has come again");
    let each_once = BTreeMap::from([("0".to_owned(), 1), ("1".to_owned(), 1)]);
    assert_eq!(count(&subject.dead_letters().await), each_once);
}
