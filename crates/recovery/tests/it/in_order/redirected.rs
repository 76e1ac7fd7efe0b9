//! What only a redirect topic has to show.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    Admission, AssignedPartition, Attempt, Fate, HeadHandler, Headers, KeyOrder, Later, NotDealt,
    OrderDisposition, PartitionOrder, Record, Replayed, Turn, Unfinished,
};
use cdc_kafka::TopicConfig;
use ordered_lanes::DeadHead;
use redirect_topic::{Creation, RedirectSettings, RedirectTopic, redirect_topic};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, soon, unique_name};
use crate::subject::{FAILED, at, error, millis};

/// A process that may have the one partition of a topic.
struct Process {
    order: RedirectTopic,
    partition: AssignedPartition,
}

/// Two processes of one group.
async fn two_processes() -> (Process, Process) {
    two_processes_with(settings(DeadHead::Hold)).await
}

async fn two_processes_with(settings: RedirectSettings) -> (Process, Process) {
    let topic = unique_name("redirected");
    cluster::create(&topic, 1, TopicConfig::new()).await;
    let group = unique_name("group");
    let process = || Process {
        order: order(settings),
        partition: AssignedPartition {
            group: group.clone(),
            topic: topic.clone(),
            partition: 0,
            partition_count: 1,
            committed: None,
        },
    };
    (process(), process())
}

fn order(settings: RedirectSettings) -> RedirectTopic {
    let creation = Creation {
        replication_factor: -1,
    };
    RedirectTopic::new(cluster::options(), Some(creation), settings)
}

fn settings(policy: DeadHead) -> RedirectSettings {
    RedirectSettings {
        follow: millis(50),
        ..RedirectSettings::new(policy)
    }
}

impl Process {
    async fn take_over(&self) -> Arc<dyn PartitionOrder> {
        soon(self.order.take_over(&self.partition)).await.unwrap()
    }

    fn record(&self, offset: i64, value: &str) -> Record {
        Record {
            origin: at(&self.partition.topic, self.partition.partition, offset),
            part: None,
            key: Some(b"k".to_vec()),
            value: Some(value.into()),
            headers: Headers::new(),
            timestamp_ms: None,
        }
    }

    /// Has at least so many records dealt with, which succeed.
    async fn handled(&self, least: usize) -> Vec<Record> {
        let (sender, mut handled) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let stopped = Box::pin(stop.clone().cancelled_owned());
        let heads = Arc::new(Succeeds(sender));
        let draining = self.order.drain(&self.partition.group, heads, stopped);
        let enough = async {
            let mut all = Vec::new();
            while let Some(record) = handled.recv().await {
                all.push(record);
                if all.len() == least {
                    handled.close();
                    stop.cancel();
                }
            }
            all
        };
        let (drained, all) = soon(async { tokio::join!(draining, enough) }).await;
        drained.unwrap();
        all
    }

    fn clean_up(self) {
        let AssignedPartition { group, topic, .. } = self.partition;
        cluster::delete(&[redirect_topic(&group, &topic), topic]);
    }
}

fn left(fate: Fate) -> Vec<Unfinished> {
    vec![Unfinished {
        part: None,
        attempt: Attempt::FIRST,
        error: error(FAILED),
        fate,
        delays: 1,
    }]
}

/// Succeeds with whatever comes, and says what it was.
struct Succeeds(mpsc::Sender<Record>);

impl HeadHandler for Succeeds {
    fn deal<'a>(
        &'a self,
        head: &'a cdc_event::Head,
    ) -> Later<'a, Result<Vec<Unfinished>, NotDealt>> {
        Box::pin(async move {
            let sent = self.0.send(head.record.clone()).await;
            sent.map_err(|_| NotDealt::Stopped)?;
            Ok(Vec::new())
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_owner_writes_nothing_and_the_next_one_knows_all_that_it_wrote() {
    let (one, other) = two_processes().await;
    let former = one.take_over().await;
    let waits = left(Fate::Again(Duration::from_secs(60)));
    former.park(&one.record(3, "a"), &waits).await.unwrap();

    let owner = other.take_over().await;
    assert_eq!(owner.newest_offset(), Some(3));
    // As a process does that was asleep meanwhile.
    let refused = soon(async {
        loop {
            let admitted = former.admit(&one.record(4, "b")).await;
            match admitted {
                Err(error) if error.disposition == OrderDisposition::Transient => {}
                refused => return refused.unwrap_err(),
            }
        }
    })
    .await;
    assert_eq!(refused.disposition, OrderDisposition::Superseded);

    let admit = async |offset| owner.admit(&other.record(offset, "b")).await.unwrap();
    assert_eq!(admit(3).await, Admission::DealtWith);
    assert_eq!(admit(4).await, Admission::Parked);
    assert_eq!(admit(4).await, Admission::DealtWith);
    drop((former, owner));
    one.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_and_a_discard_reach_the_owner_wherever_they_come_in() {
    let (owner, other) = two_processes().await;
    let owned = owner.take_over().await;
    owned
        .park(&owner.record(0, "bad"), &left(Fate::Dead))
        .await
        .unwrap();
    owned.admit(&owner.record(1, "behind")).await.unwrap();

    let (sender, mut handled) = mpsc::channel(9);
    let stop = CancellationToken::new();
    let group = owner.partition.group.clone();
    let heads = Arc::new(Succeeds(sender));
    let stopped = Box::pin(stop.clone().cancelled_owned());
    let draining = owner.order.drain(&group, heads, stopped);
    let operating = async {
        let corrected = other.record(0, "corrected");
        let replayed = other.order.replay(&group, &corrected, Attempt::FIRST, None);
        assert_eq!(replayed.await.unwrap(), Replayed::Taken);
        for wanted in ["corrected", "behind"] {
            assert_eq!(handled.recv().await.unwrap().value, Some(wanted.into()));
        }
        owned
            .park(&owner.record(2, "bad"), &left(Fate::Dead))
            .await
            .unwrap();
        owned.admit(&owner.record(3, "behind")).await.unwrap();
        let origin = at(&other.partition.topic, 0, 2);
        other.order.discard(&group, &origin, None).await.unwrap();
        let next = handled.recv().await.unwrap();
        assert_eq!((next.origin.offset, next.value), (3, Some("behind".into())));
        stop.cancel();
    };
    let (drained, ()) = soon(async { tokio::join!(draining, operating) }).await;
    drained.unwrap();
    drop(owned);
    owner.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_dealt_with_is_known_until_it_is_committed() {
    let (one, other) = two_processes().await;
    let owned = one.take_over().await;
    let at_once = left(Fate::Again(Duration::ZERO));
    owned.park(&one.record(5, "a"), &at_once).await.unwrap();
    let (sender, mut handled) = mpsc::channel(9);
    let stop = CancellationToken::new();
    let stopped = Box::pin(stop.clone().cancelled_owned());
    let draining = one
        .order
        .drain(&one.partition.group, Arc::new(Succeeds(sender)), stopped);
    let first = async {
        handled.recv().await.unwrap();
        stop.cancel();
    };
    let (drained, ()) = soon(async { tokio::join!(draining, first) }).await;
    drained.unwrap();

    let next = other.take_over().await;
    let admit = async |offset| next.admit(&other.record(offset, "a")).await.unwrap();
    assert_eq!(admit(5).await, Admission::DealtWith);
    assert_eq!(admit(6).await, Admission::Process);
    next.forget(6).await.unwrap();
    let last = one.take_over().await;
    assert_eq!(last.newest_offset(), None);
    drop((owned, next, last));
    one.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_room_in_memory_is_read_again_in_its_order() {
    const ALL: usize = 61;
    let mut small = settings(DeadHead::Hold);
    // Some two of them.
    small.limits.memory = 600;
    let (one, other) = two_processes_with(small).await;
    let owned = one.take_over().await;
    let at_once = left(Fate::Again(Duration::ZERO));
    owned
        .park(&one.record(0, "value 0"), &at_once)
        .await
        .unwrap();
    for offset in 1..i64::try_from(ALL).unwrap() {
        let record = one.record(offset, &format!("value {offset}"));
        assert_eq!(owned.admit(&record).await.unwrap(), Admission::Parked);
    }
    // Half of it by the one who wrote it, and half by one who found it.
    let mut handled = one.handled(30).await;
    drop(owned);
    let next = other.take_over().await;
    handled.extend(other.handled(ALL - handled.len()).await);
    let values = handled.into_iter().map(|record| record.value.unwrap());
    let wanted = (0..ALL).map(|offset| format!("value {offset}").into_bytes());
    assert!(values.eq(wanted));
    drop(next);
    one.clean_up();
}

/// Gives up the first that is tried, and stops; says what is to be done with each.
struct GivesUp(mpsc::Sender<(i64, Turn)>, CancellationToken);

impl HeadHandler for GivesUp {
    fn deal<'a>(
        &'a self,
        head: &'a cdc_event::Head,
    ) -> Later<'a, Result<Vec<Unfinished>, NotDealt>> {
        Box::pin(async move {
            let told = (head.record.origin.offset, head.turn);
            self.0.send(told).await.unwrap();
            self.1.cancel();
            Ok(left(Fate::Dead))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_a_dead_head_is_given_up_by_whoever_comes_next() {
    let (one, other) = two_processes_with(settings(DeadHead::DeadLetterLane)).await;
    let owned = one.take_over().await;
    let at_once = left(Fate::Again(Duration::ZERO));
    owned.park(&one.record(0, "bad"), &at_once).await.unwrap();
    for offset in [1, 2] {
        owned.admit(&one.record(offset, "behind")).await.unwrap();
    }
    let (sender, mut dealt) = mpsc::channel(9);
    let group = &one.partition.group;
    let drain = async |process: &Process| {
        let stop = CancellationToken::new();
        let heads = Arc::new(GivesUp(sender.clone(), stop.clone()));
        let stopped = Box::pin(stop.cancelled_owned());
        soon(process.order.drain(group, heads, stopped))
            .await
            .unwrap();
    };
    drain(&one).await;
    assert_eq!(dealt.recv().await, Some((0, Turn::Try)));
    drop(owned);

    let next = other.take_over().await;
    let behind = other.record(3, "later");
    assert_eq!(next.admit(&behind).await.unwrap(), Admission::Parked);
    for wanted in [(1, Turn::GiveUp), (2, Turn::GiveUp), (3, Turn::Try)] {
        drain(&other).await;
        assert_eq!(dealt.recv().await, Some(wanted));
    }
    drop(next);
    one.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_more_partitions_keeps_what_waits_and_shares_the_redirect_topic() {
    let (one, mut other) = two_processes().await;
    let owned = one.take_over().await;
    let at_once = left(Fate::Again(Duration::ZERO));
    owned
        .park(&one.record(0, "of before"), &at_once)
        .await
        .unwrap();
    drop(owned);

    // The redirect topic goes on with one.
    other.partition.partition_count = 2;
    let old = other.take_over().await;
    let known = old.admit(&other.record(0, "of before")).await;
    assert_eq!(known.unwrap(), Admission::DealtWith);
    let behind = old.admit(&other.record(1, "of after")).await;
    assert_eq!(behind.unwrap(), Admission::Parked);
    other.partition.partition = 1;
    let new = other.take_over().await;
    assert_eq!(new.newest_offset(), None, "it is not taken for the other's");
    new.park(&other.record(0, "of the new"), &at_once)
        .await
        .unwrap();
    let handled = other.handled(3).await;
    let mut found = handled.into_iter().map(|record| {
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        (record.origin.partition, value)
    });
    let mut found: Vec<_> = found.by_ref().collect();
    found.sort();
    let wanted = [(0, "of after"), (0, "of before"), (1, "of the new")];
    assert!(
        found
            .iter()
            .map(|(partition, value)| (*partition, value.as_str()))
            .eq(wanted)
    );
    drop((old, new));
    one.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_redirect_topic_that_forgets() {
    let (one, _) = two_processes().await;
    let topic = redirect_topic(&one.partition.group, &one.partition.topic);
    cluster::create(
        &topic,
        1,
        TopicConfig::new().with("cleanup.policy", "delete"),
    )
    .await;
    let refused = soon(one.order.take_over(&one.partition)).await;
    let Err(refused) = refused else {
        panic!("it was taken over");
    };
    assert_eq!(refused.disposition, OrderDisposition::Permanent);
    assert!(refused.source.to_string().contains("cleanup.policy=delete"));
    one.clean_up();
}
