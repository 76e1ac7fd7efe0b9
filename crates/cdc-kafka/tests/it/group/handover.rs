//! Partitions that go from one member to another.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cdc_kafka::{Assignment, ConsumerEvent, ConsumerSettings, Offset, Revocation};

use super::setup::{Member, TestGroup, number};
use crate::setup::soon;

const PARTITIONS: i32 = 4;
const RECORDS: u32 = 20;

/// A member that has read `RECORDS` of each partition, and stored half of that.
async fn first_member(group: &TestGroup, settings: &ConsumerSettings) -> Member {
    for partition in 0..PARTITIONS {
        group.write(partition, 0, RECORDS).await;
    }
    let mut member = group.join_with(settings);
    member.assigned(PARTITIONS as usize).await;
    for partition in 0..PARTITIONS {
        for _ in 0..RECORDS {
            member.next(partition).await;
        }
        assert!(
            member
                .reader(partition)
                .store(Offset(i64::from(RECORDS / 2)))
        );
    }
    member
}

async fn revocation(member: &mut Member) -> Revocation {
    match member.event().await {
        ConsumerEvent::Revoking(revocation) => revocation,
        event => panic!("{event:?}"),
    }
}

async fn hands_over_where_it_was_stored(assignment: Assignment) {
    let group = TestGroup::create("handover", PARTITIONS).await;
    let mut settings = group.settings();
    settings.assignment = assignment;
    let mut first = first_member(&group, &settings).await;
    let mut second = group.join_with(&settings);

    let revocation = revocation(&mut first).await;
    let revoked: Vec<_> = revocation
        .partitions()
        .iter()
        .map(|partition| partition.partition.0)
        .collect();
    match assignment {
        Assignment::CooperativeSticky => assert_eq!(revoked.len(), 2),
        Assignment::Eager => assert_eq!(revoked.len(), PARTITIONS as usize),
    }
    // What is finished now, each at another offset, still counts.
    let mut stored: BTreeMap<i32, Offset> = BTreeMap::new();
    for partition in revoked {
        let reader = first.reader(partition);
        assert!(
            soon(reader.next()).await.is_none(),
            "nothing more is to be begun"
        );
        let next = Offset(i64::from(RECORDS / 2) + 1 + i64::from(partition));
        assert!(reader.store(next));
        stored.insert(partition, next);
    }
    let nothing = tokio::time::timeout(Duration::from_millis(500), second.consumer.event()).await;
    assert!(
        nothing.is_err(),
        "the second waits for the first: {nothing:?}"
    );
    let former = std::mem::take(&mut first.readers);
    revocation.done();

    second.assigned(2).await;
    for partition in second.numbers() {
        let reader = second.reader(partition);
        assert_eq!(reader.committed_at_assignment(), Some(stored[&partition]));
        let record = second.next(partition).await;
        assert_eq!(record.offset, stored[&partition]);
        assert_eq!(i64::from(number(&record)), stored[&partition].0);
        assert!(
            !former[&group.partition(partition)].store(Offset(i64::from(RECORDS))),
            "it is let go"
        );
    }
    if assignment == Assignment::Eager {
        first.assigned(2).await;
        for partition in first.numbers() {
            assert_eq!(first.next(partition).await.offset, stored[&partition]);
        }
    }
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hands_over_where_it_was_stored_when_only_some_partitions_move() {
    hands_over_where_it_was_stored(Assignment::CooperativeSticky).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hands_over_where_it_was_stored_when_all_partitions_move() {
    hands_over_where_it_was_stored(Assignment::Eager).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_stay_are_read_on_by_the_same_reader() {
    let group = TestGroup::create("staying", PARTITIONS).await;
    let settings = group.settings();
    let mut first = first_member(&group, &settings).await;
    let mut second = group.join_with(&settings);
    let revocation = revocation(&mut first).await;
    let moving: Vec<_> = revocation.partitions().to_vec();
    let staying = (0..PARTITIONS)
        .find(|number| !moving.contains(&group.partition(*number)))
        .unwrap();
    revocation.done();
    second.assigned(2).await;
    group.write(staying, RECORDS, RECORDS + 3).await;
    for expected in RECORDS..RECORDS + 3 {
        assert_eq!(number(&first.next(staying).await), expected);
    }
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lets_go_after_the_deadline_and_then_takes_no_more_offsets() {
    let group = TestGroup::create("deadline", PARTITIONS).await;
    let mut settings = group.settings();
    settings.revoke_deadline = Duration::from_secs(1);
    let mut first = first_member(&group, &settings).await;
    let mut second = group.join_with(&settings);
    let revocation = revocation(&mut first).await;
    let asked = Instant::now();
    let partition = revocation.partitions()[0].partition.0;
    assert!(
        first
            .reader(partition)
            .store(Offset(i64::from(RECORDS / 2) + 3))
    );

    second.assigned(2).await;
    assert!(
        asked.elapsed() > Duration::from_millis(900),
        "{:?}",
        asked.elapsed()
    );
    assert!(!first.reader(partition).store(Offset(i64::from(RECORDS))));
    assert_eq!(
        second.reader(partition).committed_at_assignment(),
        Some(Offset(i64::from(RECORDS / 2) + 3))
    );
    drop(revocation);
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_lose_nothing() {
    const COUNT: u32 = 500;
    let group = TestGroup::create("coming", PARTITIONS).await;
    let settings = group.settings();
    for partition in 0..PARTITIONS {
        group.write(partition, 0, COUNT).await;
    }
    let mut seen: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    let mut members = vec![group.join_with(&settings)];
    for round in 0..4 {
        // One more member, or one less.
        if members.len() == 1 {
            members.push(group.join_with(&settings));
        } else {
            members.remove(0).close().await;
        }
        let enough = |seen: &BTreeMap<i32, Vec<u32>>| {
            (0..PARTITIONS).all(|partition| {
                seen.get(&partition)
                    .is_some_and(|seen| seen.len() as u32 > round * 60)
            })
        };
        // What a member stored that leaves in the middle of a rebalance may not be committed any more: it says so, and
        // others do it again.
        let settled = |members: &[Member]| {
            let held: Vec<_> = members.iter().map(|member| member.readers.len()).collect();
            !held.contains(&0) && held.iter().sum::<usize>() == PARTITIONS as usize
        };
        soon(async {
            while !enough(&seen) || !settled(&members) {
                let room = if enough(&seen) { 0 } else { 5 };
                for member in &mut members {
                    turn(member, &mut seen, room).await;
                }
            }
        })
        .await;
    }
    let all = |seen: &BTreeMap<i32, Vec<u32>>| {
        seen.values().all(|seen| seen.last() == Some(&(COUNT - 1)))
    };
    soon(async {
        while !all(&seen) {
            for member in &mut members {
                turn(member, &mut seen, 5).await;
            }
        }
    })
    .await;
    for (partition, seen) in seen {
        assert_eq!(
            seen,
            (0..COUNT).collect::<Vec<_>>(),
            "of partition {partition}: each once, in order"
        );
    }
    for member in members {
        member.close().await;
    }
}

/// Deals with an event if there is one, and with a few records of each partition, which are stored at once.
async fn turn(member: &mut Member, seen: &mut BTreeMap<i32, Vec<u32>>, room: usize) {
    match tokio::time::timeout(Duration::from_millis(5), member.consumer.event()).await {
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
    for reader in member.readers.values_mut() {
        let mut records = Vec::new();
        reader.try_take(room, usize::MAX, &mut records);
        for record in &records {
            seen.entry(reader.partition().0)
                .or_default()
                .push(number(record));
        }
        if let Some(record) = records.last() {
            assert!(reader.store(record.offset.next()));
        }
    }
}
