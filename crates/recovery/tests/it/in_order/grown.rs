//! A redirect topic that gets more partitions.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    Admission, AssignedPartition, Attempt, Fate, Headers, KeyOrder, OrderDisposition, OrderError,
    PartitionOrder, Record, Sequence, Unfinished,
};
use cdc_kafka::{
    Limits, OutgoingRecord, Partition, TopicConfig, TransactionTimeout, TransactionalId,
    TransactionalProducer,
};
use ordered_lanes::DeadHead;
use redirect_topic::{Creation, RedirectSettings, RedirectTopic, redirect_topic};

use crate::cluster::{self, Sent, soon, unique_name, until_partitions};
use crate::subject::{FAILED, at, error};

/// A group and its source, with two partitions, which share one of the redirect topic.
struct Shared {
    group: String,
    topic: String,
    redirect: String,
}

impl Shared {
    async fn new() -> Self {
        let (group, topic) = (unique_name("group"), unique_name("grown"));
        let redirect = redirect_topic(&group, &topic);
        cluster::create(&topic, 2, TopicConfig::new()).await;
        cluster::create(&redirect, 1, TopicConfig::compacted()).await;
        Self {
            group,
            topic,
            redirect,
        }
    }

    async fn grow(&self, count: i32) {
        cluster::grow(&self.redirect, count);
        until_partitions(&self.redirect, count).await;
    }

    /// As a process does that has just started.
    async fn take_over(&self, partition: i32) -> Result<Arc<dyn PartitionOrder>, OrderError> {
        self.take_over_by(&process(), partition).await
    }

    async fn take_over_by(
        &self,
        process: &RedirectTopic,
        partition: i32,
    ) -> Result<Arc<dyn PartitionOrder>, OrderError> {
        let partition = AssignedPartition {
            group: self.group.clone(),
            topic: self.topic.clone(),
            partition,
            partition_count: 2,
            committed: None,
        };
        soon(process.take_over(&partition)).await
    }

    fn record(&self, partition: i32, offset: i64) -> Record {
        Record {
            origin: at(&self.topic, partition, offset),
            part: None,
            key: Some(b"k".to_vec()),
            value: Some(b"v".to_vec()),
            headers: Headers::new(),
            timestamp_ms: None,
        }
    }

    /// What a version wrote that did not write down over how many partitions it spread its records.
    async fn owned_before(&self, source_partition: i32, redirect_partition: i32) {
        let key = format!("owner/{source_partition}");
        let mut owner = Sent::new(redirect_partition, &key, "");
        owner.headers.push("cdc-redirect-key", None);
        let said = br#"{"version":1,"kind":"owner","token":"before","generation":0}"#;
        owner.headers.push("cdc-redirect", Some(said.to_vec()));
        cluster::send(&self.redirect, &[owner]).await;
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let topics = [&self.redirect, &self.topic].map(String::clone);
        cluster::delete(&topics);
    }
}

fn process() -> RedirectTopic {
    let creation = Creation {
        replication_factor: -1,
    };
    let settings = RedirectSettings::new(DeadHead::Hold);
    RedirectTopic::new(cluster::options(), Some(creation), settings)
}

fn in_an_hour() -> Vec<Unfinished> {
    vec![Unfinished {
        part: None,
        attempt: Attempt::FIRST,
        error: error(FAILED),
        fate: Fate::Again(Duration::from_secs(3600)),
        delays: 1,
    }]
}

#[track_caller]
fn assert_refused(taken: Result<Arc<dyn PartitionOrder>, OrderError>, why: &[&str]) {
    let Err(refused) = taken else {
        panic!("it was taken over");
    };
    assert_eq!(refused.disposition, OrderDisposition::Permanent);
    let said = refused.source.to_string();
    assert!(why.iter().all(|why| said.contains(why)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_shared_partitions_is_found_after_partitions_were_added() {
    let shared = Shared::new().await;
    let owner = shared.take_over(1).await.unwrap();
    let parked = owner.park(&shared.record(1, 0), &in_an_hour()).await;
    parked.unwrap();

    shared.grow(2).await;
    let next = shared.take_over(1).await.unwrap();
    assert_eq!(next.newest_offset(), Some(0), "what waits is hidden");
    let known = next.admit(&shared.record(1, 0)).await;
    assert_eq!(known.unwrap(), Admission::DealtWith);
    let behind = next.admit(&shared.record(1, 1)).await;
    assert_eq!(behind.unwrap(), Admission::Parked);
    // Who only looks finds the same.
    let visitor = process();
    let looked = visitor.look(&shared.group, &shared.topic, 2);
    assert_eq!(soon(looked).await.unwrap().waiting_records, 2);
    // A former owner notices, wherever the next one was told to look.
    let late = owner.admit(&shared.record(1, 1)).await;
    assert!(late.is_err(), "{late:?}");
}

/// Writes as the owner of partition 0 does, and dies in the middle of it.
async fn die_while_writing(redirect: &str) {
    let id = TransactionalId::new(format!("{redirect}-0")).unwrap();
    let timeout = TransactionTimeout::new(Duration::from_secs(300)).unwrap();
    let options = cluster::options();
    let opening =
        TransactionalProducer::open(&options, Limits::default(), &id, timeout, cluster::DEADLINE);
    let mut writer = opening.await.unwrap();
    writer.begin().unwrap();
    let record = OutgoingRecord {
        topic: redirect,
        partition: Some(Partition(0)),
        key: Some(b"at/0/0/0"),
        value: None,
        headers: &[],
        timestamp: None,
    };
    writer.try_send(record, Sequence::new(0)).unwrap();
    soon(writer.producer().delivered()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_died_while_writing_keeps_nobody_from_taking_over() {
    let shared = Shared::new().await;
    shared.grow(2).await;
    drop(shared.take_over(0).await.unwrap());
    die_while_writing(&shared.redirect).await;
    let next = process();
    // In this order: nobody ends what the dead one left open before that is found out.
    for partition in [1, 0] {
        shared.take_over_by(&next, partition).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_wrote_says_where_records_are() {
    let shared = Shared::new().await;
    for source_partition in [0, 1] {
        shared.owned_before(source_partition, 0).await;
    }
    shared.grow(2).await;
    let owner = shared.take_over(1).await.unwrap();
    owner
        .park(&shared.record(1, 0), &in_an_hour())
        .await
        .unwrap();
    let written = cluster::read(&shared.redirect).await;
    assert!(written.iter().all(|record| record.partition == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_redirect_topic_whose_records_are_in_two_places() {
    let shared = Shared::new().await;
    shared.owned_before(1, 0).await;
    shared.grow(2).await;
    shared.owned_before(1, 1).await;
    let why = [shared.redirect.as_str(), "has 2 partitions"];
    assert_refused(shared.take_over(1).await, &why);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_redirect_topic_with_fewer_partitions_than_it_had() {
    let shared = Shared::new().await;
    let layout = Sent::new(0, "layout", r#"{"version":1,"partitions":3}"#);
    cluster::send(&shared.redirect, &[layout]).await;
    let why = [
        shared.redirect.as_str(),
        "has 1 partitions",
        "spread over 3",
    ];
    assert_refused(shared.take_over(0).await, &why);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_come_at_the_same_time_agree() {
    let shared = Shared::new().await;
    let processes = [(); 4].map(|()| process());
    let taken = tokio::join!(
        shared.take_over_by(&processes[0], 0),
        shared.take_over_by(&processes[1], 1),
        shared.take_over_by(&processes[2], 0),
        shared.take_over_by(&processes[3], 1),
    );
    let taken: [Result<_, _>; 4] = taken.into();
    let unexpected = taken.into_iter().filter_map(Result::err);
    // Two of them came too late for their partition; nobody was refused for good.
    for error in unexpected {
        assert_ne!(error.disposition, OrderDisposition::Permanent, "{error:?}");
    }
    let written = cluster::read(&shared.redirect).await;
    let layouts = written
        .iter()
        .filter(|record| record.key.as_deref() == Some(b"layout"));
    assert_eq!(layouts.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looked_before_the_first_owner_does_not_keep_to_what_it_saw() {
    let shared = Shared::new().await;
    let looker = process();
    let discard = async |offset| {
        let origin = at(&shared.topic, 1, offset);
        looker.discard(&shared.group, &origin, None).await
    };
    discard(5).await.unwrap();
    shared.grow(2).await;
    let owner = shared.take_over(1).await.unwrap();
    // The client that it has does not know of the new partition, which is an error; the next one does.
    discard(6).await.unwrap_err();
    discard(6).await.unwrap();
    let records = cluster::read(&shared.redirect).await;
    let places: Vec<i32> = records
        .iter()
        .filter(|record| record.key.as_deref().unwrap().starts_with(b"discard/"))
        .map(|record| record.partition)
        .collect();
    drop(owner);
    assert_eq!(places.len(), 2);
    assert!(
        places.contains(&1),
        "it is where its owner reads: {places:?}"
    );
}
