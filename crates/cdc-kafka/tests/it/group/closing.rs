//! Members that leave at any time of a rebalance.

use std::time::{Duration, Instant};

use cdc_kafka::{ConsumerEvent, Offset};
use tokio::task::JoinSet;

use super::setup::{Member, TestGroup};
use crate::setup::{DEADLINE, soon};

const PARTITIONS: i32 = 4;

/// Does what the group asks, until then.
async fn attend(mut members: [&mut Member; 2], until: Instant) {
    while Instant::now() < until {
        for member in &mut members {
            match tokio::time::timeout(Duration::from_millis(1), member.consumer.event()).await {
                Ok(ConsumerEvent::Assigned(readers)) => member.keep(readers),
                Ok(ConsumerEvent::Revoking(revocation)) => {
                    for partition in revocation.partitions() {
                        member.readers.remove(partition);
                    }
                    revocation.done();
                }
                Ok(ConsumerEvent::Trouble(_)) | Err(_) => {}
                Ok(event) => panic!("{event:?}"),
            }
        }
    }
}

/// A member stores offsets and leaves so long after another has come.
async fn leaves_after(delay: Duration) {
    let group = TestGroup::create("closing", PARTITIONS).await;
    for partition in 0..PARTITIONS {
        group.write(partition, 0, 20).await;
    }
    let mut first = group.join();
    first.assigned(PARTITIONS as usize).await;
    let mut second = group.join();
    attend([&mut first, &mut second], Instant::now() + delay).await;
    let stored: Vec<_> = first
        .readers
        .values()
        .filter(|reader| reader.store(Offset(10)))
        .map(|reader| reader.partition().0)
        .collect();
    assert!(!stored.is_empty());
    let closed = soon(first.consumer.close(DEADLINE)).await;
    assert!(closed.is_ok(), "after {delay:?}: {closed:?}");
    let committed = group.committed().await;
    for partition in stored {
        assert_eq!(committed.get(&partition), Some(&10), "after {delay:?}");
    }
    second.close().await;
}

/// While a request to join is not answered, a coordinator lets a commit behind it wait, and then finds it to be of the
/// generation before.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_stored_is_committed_whenever_in_a_rebalance_it_leaves() {
    let mut rounds: JoinSet<()> = (0..10)
        .map(|round| leaves_after(Duration::from_millis(round * 40)))
        .collect();
    while let Some(ended) = rounds.join_next().await {
        ended.unwrap();
    }
}
