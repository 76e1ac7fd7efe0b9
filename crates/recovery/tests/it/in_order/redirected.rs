//! What only a redirect topic has to show.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    Admission, AssignedPartition, Attempt, Fate, HeadHandler, Headers, KeyOrder, Later, NotDealt,
    OrderDisposition, PartitionOrder, Record, Replayed, Unfinished,
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
    let topic = unique_name("redirected");
    cluster::create(&topic, 1, TopicConfig::new()).await;
    let group = unique_name("group");
    let process = || Process {
        order: order(),
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

fn order() -> RedirectTopic {
    let creation = Creation {
        replication_factor: -1,
    };
    let settings = RedirectSettings {
        follow: millis(50),
        ..RedirectSettings::new(DeadHead::Hold)
    };
    RedirectTopic::new(cluster::options(), Some(creation), settings)
}

impl Process {
    async fn take_over(&self) -> Arc<dyn PartitionOrder> {
        soon(self.order.take_over(&self.partition)).await.unwrap()
    }

    fn record(&self, offset: i64, value: &str) -> Record {
        Record {
            origin: at(&self.partition.topic, 0, offset),
            part: None,
            key: Some(b"k".to_vec()),
            value: Some(value.into()),
            headers: Headers::new(),
            timestamp_ms: None,
        }
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
            self.0.send(head.record.clone()).await.unwrap();
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
        let replayed = other.order.replay(&group, &corrected, Attempt::FIRST);
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
