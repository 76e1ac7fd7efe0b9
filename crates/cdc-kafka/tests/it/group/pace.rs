//! Partitions that are not read.

use std::time::{Duration, Instant};

use cdc_kafka::Offset;

use super::setup::{TestGroup, delete_before, number};
use crate::setup::soon;

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_partition_holds_up_neither_others_nor_the_membership() {
    const POLL_INTERVAL: Duration = Duration::from_secs(6);
    let group = TestGroup::create("unread", 2).await;
    group.write(0, 0, 50_000).await;
    let mut settings = group.settings();
    settings.max_poll_interval = POLL_INTERVAL;
    settings.revoke_deadline = Duration::from_secs(1);
    let mut member = group.join_with(&settings);
    member.assigned(2).await;

    let started = Instant::now();
    let mut written = 0;
    while started.elapsed() < POLL_INTERVAL + Duration::from_secs(2) {
        group.write(1, written, written + 1).await;
        assert_eq!(number(&member.next(1).await), written);
        written += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Not read once since it was assigned, and still this member's.
    for expected in 0..50_000 {
        assert_eq!(number(&member.next(0).await), expected);
    }
    let event = tokio::time::timeout(Duration::ZERO, member.consumer.event()).await;
    assert!(event.is_err(), "{event:?}");
    assert!(member.reader(0).store(Offset(50_000)));
    member.close().await;
    assert_eq!(group.committed().await.get(&0), Some(&50_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_an_unread_partition_only_so_far_ahead() {
    const RECORDS: usize = 6_000;
    const SIZE: usize = 10_000;
    // What is queued, and one answer that comes on top of it.
    const MOST: usize = 5 << 20;
    let group = TestGroup::create("ahead", 2).await;
    for partition in 0..2 {
        let mut noise = Noise(1);
        group
            .write_values(partition, (0..RECORDS).map(|_| noise.bytes(SIZE)))
            .await;
    }

    let mut member = group.join();
    member.assigned(2).await;
    // What can be fetched ahead of partition 0 has been when all of partition 1 has come the same way.
    for _ in 0..RECORDS {
        member.next(1).await;
    }
    // What is gone from the broker can only come from what was fetched.
    delete_before(&group, 0, Offset(RECORDS as i64)).await;
    group
        .write_values(0, std::iter::once(b"last".to_vec()))
        .await;
    let mut ahead = 0;
    soon(async {
        while member.next(0).await.value.as_deref() != Some(b"last") {
            ahead += SIZE;
        }
    })
    .await;
    assert!(
        (1..=MOST).contains(&ahead),
        "{ahead} of {} bytes",
        RECORDS * SIZE
    );
    member.close().await;
}

/// Bytes that cannot be compressed: how far is fetched ahead is counted as they travel.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let byte = |_| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 as u8
        };
        (0..count).map(byte).collect()
    }
}
