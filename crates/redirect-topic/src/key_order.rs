//! Redirect topics as what keeps the order for a runner.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    AssignedPartition, Attempt, DrainError, HeadHandler, KafkaPosition, KeyOrder, Later,
    OrderDisposition, OrderError, PartId, PartitionOrder, Record, Replayed, random_number,
};
use cdc_kafka::KafkaOptions;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

use crate::ask::Ask;
use crate::drain::Drain;
use crate::entry_id::{EntryKey, Origin};
use crate::error::Error;
use crate::fact::{Fact, Progress, Waits, millis};
use crate::follow::follow;
use crate::guard::Guard;
use crate::index::Backlog;
use crate::kafka_log::{Creation, KafkaLog};
use crate::log::{Log, SourcePartition};
use crate::memory::Memory;
use crate::opening::{From, Opened, Opening};
use crate::partition::Owned;
use crate::plan::{Operated, Returning};
use crate::registry::Registry;
use crate::settings::RedirectSettings;
use crate::writer::Writer;

/// An attempt is over soon, or its owner is.
const BUSY: Duration = Duration::from_millis(200);

/// Keeps the order of keys in redirect topics: a [`KeyOrder`]. One for each process; it may serve several groups.
pub struct RedirectTopic<L = KafkaLog> {
    opening: Arc<Opening<L>>,
    registry: Arc<Registry>,
    settings: RedirectSettings,
}

impl RedirectTopic {
    /// In redirect topics of this cluster, which are made if they are missing and `creation` is given. Connects to nothing
    /// yet.
    #[must_use]
    pub fn new(
        options: KafkaOptions,
        creation: Option<Creation>,
        settings: RedirectSettings,
    ) -> Self {
        Self::with_log(Arc::new(KafkaLog::new(options, creation)), settings)
    }
}

impl<L: Log> RedirectTopic<L> {
    /// With redirect topics of another kind.
    #[must_use]
    pub fn with_log(log: Arc<L>, settings: RedirectSettings) -> Self {
        let limits = settings.limits;
        let memory = Arc::new(Memory::new(limits.memory));
        Self {
            opening: Arc::new(Opening {
                log,
                limits,
                memory,
            }),
            registry: Arc::new(Registry::new()),
            settings,
        }
    }

    /// What waits in the partitions of a group that this instance owns.
    #[must_use]
    pub fn backlog(&self, group: &str) -> Backlog {
        self.registry.backlog(group, self.opening.log.now())
    }

    /// What waits for all partitions of a source topic, whoever owns them: nothing if there is no redirect topic. Reads all
    /// of that.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn look(
        &self,
        group: &str,
        topic: &str,
        partition_count: i32,
    ) -> Result<Backlog, Error> {
        let mut looks = JoinSet::new();
        for partition in 0..partition_count {
            let of = SourcePartition {
                group: group.to_owned(),
                topic: topic.to_owned(),
                partition,
                partition_count,
            };
            let opening = Arc::clone(&self.opening);
            looks.spawn(async move {
                let (index, _) = opening.restore(&of).await?;
                Ok(index.backlog(opening.log.now()))
            });
        }
        let mut all = Backlog::default();
        for look in looks.join_all().await {
            match look {
                Ok(backlog) => all = all.and(backlog),
                Err(Error::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// A record that was given up is not waited for any longer: those behind it go on, as soon as the owner of its
    /// partition sees this. What is not held stays as it is.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error`]: whether it is done is not known.
    pub async fn discard(
        &self,
        group: &str,
        origin: &KafkaPosition,
        part: Option<&PartId>,
    ) -> Result<(), Error> {
        let key = EntryKey::Discard(Origin::of(origin, part));
        let of = source(group, origin);
        self.opening.log.send(&of, Fact::Discard.encode(&key)).await
    }

    async fn guard(&self, partition: &AssignedPartition) -> Result<Guard, Error> {
        let of = of_assigned(partition);
        let token = format!("{:016x}", random_number());
        let opened = self.opening.open(&of, &token, From::Anybody).await?;
        let Opened {
            writer,
            index,
            known,
        } = opened;
        let newest = index.newest_offset();
        let keys = index.may_have_moved();
        if keys > 0 {
            warn!(
                partition = %index.of, keys,
                "keys wait since the topic had another number of partitions: records of them that are in another one now \
                 do not wait for them"
            );
        }
        let policy = self.settings.dead_head;
        let changed = self.registry.changed();
        let (owned, asked) = Owned::new(index, known, token, policy, changed);
        let mut tasks = JoinSet::new();
        let opening = Arc::clone(&self.opening);
        let writer = Writer::new(Arc::clone(&owned), opening, writer, asked);
        tasks.spawn(writer.run());
        let opening = Arc::clone(&self.opening);
        tasks.spawn(follow(Arc::clone(&owned), opening, self.settings.follow));
        Ok(Guard::new(owned, newest, Arc::clone(&self.registry), tasks))
    }

    async fn put_back(
        &self,
        group: &str,
        record: &Record,
        attempt: Attempt,
    ) -> Result<Replayed, Error> {
        let origin = &record.origin;
        let attempts = attempt.number.get() - 1;
        let here = self.registry.find(group, &origin.topic, origin.partition);
        if let Some(owned) = here {
            let returning = Returning {
                record: record.clone(),
                attempts,
                first_failed: attempt.first_failed_at,
                in_any_case: false,
            };
            loop {
                let returning = Box::new(returning.clone());
                match owned.ask(|reply| Ask::Replay(returning, None, reply)).await {
                    Ok(Operated::Done) => return Ok(Replayed::Taken),
                    Ok(Operated::Unknown) => return Ok(Replayed::Unknown),
                    Ok(Operated::Busy) => sleep(BUSY).await,
                    // Somebody else has it by now.
                    Err(error) if error.disposition() == OrderDisposition::Superseded => break,
                    Err(error) => return Err(error),
                }
            }
        }
        let key = EntryKey::Replay(Origin::of(origin, record.part.as_ref()));
        let wanted = Fact::Replay(Waits {
            record: record.clone(),
            progress: Progress {
                held: false,
                attempts,
                delays: 1,
                first_failed_ms: attempt.first_failed_at.map(millis),
                due_ms: None,
                parked_ms: millis(self.opening.log.now()),
                partition_count: 0,
                code: None,
            },
        });
        let of = source(group, origin);
        self.opening.log.send(&of, wanted.encode(&key)).await?;
        Ok(Replayed::Taken)
    }
}

impl<L: Log> KeyOrder for RedirectTopic<L> {
    fn take_over<'a>(
        &'a self,
        partition: &'a AssignedPartition,
    ) -> Later<'a, Result<Arc<dyn PartitionOrder>, OrderError>> {
        Box::pin(async move {
            let guard: Arc<dyn PartitionOrder> = Arc::new(self.guard(partition).await?);
            Ok(guard)
        })
    }

    fn restart<'a>(
        &'a self,
        partition: &'a AssignedPartition,
    ) -> Later<'a, Result<(), OrderError>> {
        Box::pin(async move {
            let token = format!("{:016x}", random_number());
            let of = of_assigned(partition);
            self.opening.open(&of, &token, From::Anew).await?;
            Ok(())
        })
    }

    fn replay<'a>(
        &'a self,
        group: &'a str,
        record: &'a Record,
        attempt: Attempt,
        _failed_event: Option<i64>,
    ) -> Later<'a, Result<Replayed, OrderError>> {
        Box::pin(async move { Ok(self.put_back(group, record, attempt).await?) })
    }

    fn drain<'a>(
        &'a self,
        group: &'a str,
        heads: Arc<dyn HeadHandler>,
        stop: Later<'a, ()>,
    ) -> Later<'a, Result<(), DrainError>> {
        let drain = Drain {
            group: group.to_owned(),
            registry: Arc::clone(&self.registry),
            opening: Arc::clone(&self.opening),
            heads,
            settings: self.settings,
        };
        Box::pin(drain.run(stop))
    }
}

fn of_assigned(partition: &AssignedPartition) -> SourcePartition {
    SourcePartition {
        group: partition.group.clone(),
        topic: partition.topic.clone(),
        partition: partition.partition,
        partition_count: partition.partition_count,
    }
}

/// Of a record whose source is there, whatever is known about it.
fn source(group: &str, origin: &KafkaPosition) -> SourcePartition {
    SourcePartition {
        group: group.to_owned(),
        topic: origin.topic.clone(),
        partition: origin.partition,
        partition_count: origin.partition.saturating_add(1),
    }
}

impl<L> fmt::Debug for RedirectTopic<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectTopic")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
