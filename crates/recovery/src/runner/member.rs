//! A member of a group: gives each of its partitions a worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::Handler;
use cdc_kafka::{
    ConsumerEvent, ConsumerSettings, GroupConsumer, KafkaOptions, Offset, PartitionReader,
    TopicPartition,
};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::ordering::{Assigned, assign, keeping};
use crate::partition::{Share, Shares, Worker};
use crate::renewal::note_renewal;
use crate::topology::causes;
use crate::work::{Context, Order, Shared};

/// A member of a group.
pub(super) struct Member<H: Handler> {
    consumer: GroupConsumer,
    group: String,
    stop_deadline: Duration,
    shared: Arc<Shared<H>>,
    shares: Arc<Shares>,
    workers: HashMap<Id, Handle>,
    tasks: JoinSet<Result<(), Error>>,
}

/// A worker that runs.
struct Handle {
    partition: TopicPartition,
    stop: CancellationToken,
    abort: AbortHandle,
}

impl<H: Handler> Member<H> {
    pub(super) fn start(
        options: &KafkaOptions,
        settings: &ConsumerSettings,
        stop_deadline: Duration,
        shared: Arc<Shared<H>>,
        shares: Arc<Shares>,
    ) -> Result<Self, Error> {
        let consumer = GroupConsumer::start(options, settings).map_err(Error::Kafka)?;
        Ok(Self {
            consumer,
            group: settings.group.clone(),
            stop_deadline,
            shared,
            shares,
            workers: HashMap::new(),
            tasks: JoinSet::new(),
        })
    }

    /// Runs until it is told to stop or cannot go on; then ends its workers and leaves the group.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Result<(), Error> {
        let ran = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            ran = self.go_on() => ran,
        };
        let deadline = Instant::now() + self.stop_deadline;
        let all = self.workers.keys().copied().collect();
        let retired = self.retire(all, deadline).await;
        if let Err(error) = self.consumer.close(self.stop_deadline).await {
            tracing::warn!(
                error = causes(&error),
                "left the group with less committed than done: that is done again"
            );
        }
        ran.and(retired)
    }

    /// Deals with what happens. Cancellation stops it between two events, or in the middle of a revocation, which then
    /// counts as finished.
    async fn go_on(&mut self) -> Result<(), Error> {
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended)?,
                event = self.consumer.event() => match event {
                    ConsumerEvent::Assigned(readers) => {
                        for reader in readers {
                            self.assign(reader);
                        }
                    }
                    ConsumerEvent::Revoking(revocation) => {
                        let ids = self.ids(revocation.partitions());
                        self.retire(ids, Instant::from_std(revocation.deadline())).await?;
                        revocation.done();
                    }
                    ConsumerEvent::Lost(partitions) => {
                        tracing::warn!(?partitions, "the group went on without this member; what is not committed is done again");
                        for id in self.ids(&partitions) {
                            self.abort(id);
                        }
                    }
                    ConsumerEvent::Trouble(error) => tracing::warn!(error = causes(&error), "trouble with Kafka; going on"),
                    // What was in flight was told to be lost before.
                    ConsumerEvent::Renewing(error) => note_renewal(&self.group, &error),
                    ConsumerEvent::Failed(error) => return Err(Error::Kafka(error)),
                },
            }
        }
    }

    fn assign(&mut self, reader: PartitionReader) {
        let partition = reader.topic_partition().clone();
        tracing::info!(%partition, from = reader.committed_at_assignment().map(|Offset(offset)| offset), "assigned");
        let stop = CancellationToken::new();
        let (shared, share) = (Arc::clone(&self.shared), self.shares.share());
        let abort = self.tasks.spawn(work(shared, reader, share, stop.clone()));
        self.workers.insert(
            abort.id(),
            Handle {
                partition,
                stop,
                abort,
            },
        );
    }

    fn ids(&self, partitions: &[TopicPartition]) -> Vec<Id> {
        let workers = self.workers.iter();
        let affected = workers.filter(|(_, handle)| partitions.contains(&handle.partition));
        affected.map(|(id, _)| *id).collect()
    }

    /// Has workers end what they began. Those that have not at the deadline are dropped.
    async fn retire(&mut self, ids: Vec<Id>, deadline: Instant) -> Result<(), Error> {
        for id in &ids {
            if let Some(handle) = self.workers.get(id) {
                handle.stop.cancel();
            }
        }
        let mut result = Ok(());
        while ids.iter().any(|id| self.workers.contains_key(id)) {
            match timeout_at(deadline, self.tasks.join_next_with_id()).await {
                Ok(Some(ended)) => result = result.and(self.ended(ended)),
                Ok(None) => break,
                Err(_) => {
                    for id in ids {
                        if let Some(partition) = self.abort(id) {
                            tracing::warn!(%partition, "not finished in time: what is in flight is done again");
                        }
                    }
                    break;
                }
            }
        }
        result
    }

    fn abort(&mut self, id: Id) -> Option<TopicPartition> {
        let handle = self.workers.remove(&id)?;
        handle.abort.abort();
        Some(handle.partition)
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), Error>), JoinError>) -> Result<(), Error> {
        match ended {
            Ok((id, result)) => {
                self.workers.remove(&id);
                result
            }
            Err(error) => {
                let was_aborted = self.workers.remove(&error.id()).is_none();
                if was_aborted {
                    Ok(())
                } else {
                    Err(Error::Task(error))
                }
            }
        }
    }
}

/// Works on a partition, as soon as it is known where its records go.
async fn work<H: Handler>(
    shared: Arc<Shared<H>>,
    reader: PartitionReader,
    share: Share,
    stop: CancellationToken,
) -> Result<(), Error> {
    let topic = reader.topic();
    let (source, tier) = match shared.names.of_retry(topic) {
        Some((source, tier)) => (Some(source), Some(tier)),
        None => (
            shared
                .names
                .sources()
                .iter()
                .find(|source| source.topic == topic),
            None,
        ),
    };
    // A group is given partitions of the topics that it asked for, and of no others.
    let Some(source) = source else { return Ok(()) };
    let Some(route) = shared.topology.wait_for(source, &stop).await? else {
        return Ok(());
    };
    let assigned = Assigned {
        group: shared.names.group(),
        reader: &reader,
        tier,
        topology: &shared.topology,
    };
    let Some(order) = assign(&shared.ordering, &assigned, &stop).await? else {
        return Ok(());
    };
    let kept = match &order {
        Order::Key(partition) => Some(Arc::clone(partition)),
        Order::Loose | Order::Replays(_) | Order::Head => None,
    };
    let offsets = reader.offset_store();
    let context = Context {
        route,
        tier,
        partition: reader.partition().0,
        order,
        stop,
        shared,
    };
    let working = Worker::new(context, reader, share).run();
    match kept {
        Some(kept) => keeping(kept, offsets, working).await,
        None => working.await,
    }
}
