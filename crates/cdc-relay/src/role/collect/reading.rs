//! Reads dead-letter topics; a record leaves its topic when the store has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Attempt, Backoff, Failure, Handler, KafkaPosition, Record, random_fraction};
use cdc_kafka::{
    ConsumerEvent, ConsumerSettings, Error, FetchedRecord, GroupConsumer, KafkaOptions,
    PartitionReader, TopicPartition,
};
use dead_letters::{Ingest, ReplayEntries};
use futures_util::future::join_all;
use recovery::note_renewal;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::role::CollectState;

/// What is stored together, of one partition.
const RECORDS: usize = 200;
const BYTES: usize = 4 << 20;

/// Between tries of a store that takes nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a stop waits for what is being stored.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// Why reading ended by itself.
#[derive(Debug)]
pub(super) enum Ended {
    /// Kafka refuses for good.
    Kafka(Error),
    /// A bug: its partition would not be read any more.
    Panicked(JoinError),
}

/// Reads the dead-letter topics of one group.
pub(super) struct Reading<E> {
    consumer: GroupConsumer,
    group: String,
    ingest: Arc<Ingest<E>>,
    state: Arc<CollectState>,
}

impl<E: ReplayEntries> Reading<E> {
    /// Joins the group in the background.
    pub(super) fn start(
        options: &KafkaOptions,
        settings: &ConsumerSettings,
        ingest: Ingest<E>,
        state: Arc<CollectState>,
    ) -> Result<Self, Error> {
        let consumer = GroupConsumer::start(options, settings)?;
        Ok(Self {
            consumer,
            group: settings.group.clone(),
            ingest: Arc::new(ingest),
            state,
        })
    }

    /// Reads until `stop`; through every failure that may pass.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), Ended> {
        let Self {
            mut consumer,
            group,
            ingest,
            state,
        } = self;
        let mut counted = state.partitions();
        let mut tasks = JoinSet::new();
        let mut partitions: HashMap<TopicPartition, AbortHandle> = HashMap::new();
        let read = loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(ended) = tasks.join_next() => match ended {
                    Err(error) if error.is_panic() => break Err(Ended::Panicked(error)),
                    // Its partition is gone.
                    Ok(()) | Err(_) => continue,
                },
                event = consumer.event() => event,
            };
            match event {
                ConsumerEvent::Assigned(readers) => {
                    for reader in readers {
                        let partition = reader.topic_partition().clone();
                        let read = read(
                            reader,
                            Arc::clone(&ingest),
                            Arc::clone(&state),
                            stop.clone(),
                        );
                        partitions.insert(partition, tasks.spawn(read));
                    }
                }
                // What is being stored may be stored twice, which is no news to the store.
                ConsumerEvent::Revoking(revocation) => {
                    drop_all(&mut partitions, revocation.partitions());
                    revocation.done();
                }
                ConsumerEvent::Lost(lost) => drop_all(&mut partitions, &lost),
                ConsumerEvent::Trouble(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "trouble with Kafka; going on"
                    );
                }
                ConsumerEvent::Renewing(error) => note_renewal(&group, &error),
                ConsumerEvent::Failed(error) => break Err(Ended::Kafka(error)),
            }
            counted.set(partitions.len());
        };
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_DEADLINE, ended).await.is_err() {
            tasks.shutdown().await;
        }
        read.and(consumer.close(STOP_DEADLINE).await.map_err(Ended::Kafka))
    }
}

fn drop_all(partitions: &mut HashMap<TopicPartition, AbortHandle>, gone: &[TopicPartition]) {
    for partition in gone {
        if let Some(task) = partitions.remove(partition) {
            task.abort();
        }
    }
}

/// Reads a partition until it is taken away, or `stop`.
async fn read<E: ReplayEntries>(
    mut reader: PartitionReader,
    ingest: Arc<Ingest<E>>,
    state: Arc<CollectState>,
    stop: CancellationToken,
) {
    let mut fetched = Vec::new();
    loop {
        let taken = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            taken = reader.take(RECORDS, BYTES, &mut fetched) => taken,
        };
        if taken == 0 {
            return;
        }
        let next = fetched.last().map(|record| record.offset.next());
        let records: Vec<_> = fetched
            .drain(..)
            .map(|record| record_of(&reader, record))
            .collect();
        let stored = tokio::select! {
            () = store_all(records, &ingest, &state) => true,
            () = stop.cancelled() => false,
        };
        if !stored {
            return;
        }
        state.stored(taken);
        if let Some(next) = next {
            // False after the partition was taken away: the next owner stores it again.
            reader.store(next);
        }
    }
}

/// Until the store has them all.
async fn store_all<E: ReplayEntries>(
    mut records: Vec<Record>,
    ingest: &Ingest<E>,
    state: &CollectState,
) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut waiting = None;
    loop {
        // In this task, so that a panic ends it before an offset is stored.
        let storing = records.into_iter().map(|record| async move {
            let stored = ingest.handle(&record, Attempt::FIRST).await;
            stored.err().map(|failure| (record, failure))
        });
        let mut why = None;
        records = Vec::new();
        for (record, failure) in join_all(storing).await.into_iter().flatten() {
            records.push(record);
            why = Some(reason(&failure));
        }
        let Some(why) = why else {
            return;
        };
        if backoff.failures() == 0 {
            tracing::warn!(
                error = why,
                "the store of failed events takes nothing; dead letters wait in their topics"
            );
        }
        waiting.get_or_insert_with(|| state.waits()).because(&why);
        tokio::time::sleep(backoff.next_delay(random_fraction())).await;
    }
}

fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Transient { error, .. }
        | Failure::Wait { error, .. }
        | Failure::Underway { error, .. }
        | Failure::Poison { error }
        | Failure::Fatal { error } => {
            let causes: Vec<_> = error.causes().collect();
            [vec![error.to_string()], causes].concat().join(": ")
        }
        Failure::Partial { .. } => "a part of it was not stored".to_owned(),
    }
}

fn record_of(reader: &PartitionReader, fetched: FetchedRecord) -> Record {
    Record {
        origin: KafkaPosition {
            topic: reader.topic().to_owned(),
            partition: reader.partition().0,
            offset: fetched.offset.0,
        },
        part: None,
        key: fetched.key,
        value: fetched.value,
        headers: fetched.headers,
        timestamp_ms: fetched.timestamp.map(|timestamp| timestamp.0),
    }
}
