//! Consumers that come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cdc_event::{Admission, Record};
use ordered_lanes::{Assignment, GuardLimits, LaneGuard, LaneStore, Remainder};

use super::{PARTITIONS, Process, Run};
use crate::model::World;
use crate::model::faulty::Faulty;
use crate::records::TOPIC;

/// How far a consumer reads ahead of the oldest record that is not dealt with.
const WINDOW: usize = 6;

/// The owner of a partition, or one that was.
pub(super) struct Consumer<S> {
    guard: LaneGuard<Faulty<S>>,
    done: BTreeSet<usize>,
    /// Failed, and not in a lane yet.
    failed: BTreeMap<usize, Vec<Remainder>>,
    from: usize,
}

impl<S: LaneStore, W: World> Run<S, W> {
    pub(super) async fn consume(&mut self, partition: usize) {
        self.fault();
        if self.partitions[partition].owner.is_none() {
            self.take_over(partition).await;
            return;
        }
        let old = self.partitions[partition].old.len();
        if old > 0 && self.random.percent(30) {
            let mut consumer = self.partitions[partition]
                .old
                .swap_remove(self.random.below(old));
            if let Process::Goes = self.consume_as(partition, &mut consumer, false).await {
                self.partitions[partition].old.push(consumer);
            }
        } else if let Some(mut consumer) = self.partitions[partition].owner.take()
            && let Process::Goes = self.consume_as(partition, &mut consumer, true).await
        {
            self.partitions[partition].owner = Some(consumer);
        }
    }

    pub(super) async fn take_over(&mut self, partition: usize) {
        let assignment = Assignment {
            group: self.group.clone(),
            topic: TOPIC.into(),
            partition: i32::try_from(partition).unwrap(),
            partition_count: i32::try_from(PARTITIONS).unwrap(),
        };
        let from = self.partitions[partition].committed;
        let limits = GuardLimits {
            open_keys: 100,
            // A head that is held would keep it full for good.
            events_of_key: if self.setting.poison { 100 } else { 2 },
            dead_head: self.setting.dead_head,
        };
        let committed = i64::try_from(from).unwrap();
        let taken =
            LaneGuard::take_over(Arc::clone(&self.store), assignment, Some(committed), limits)
                .await;
        if let Ok(guard) = taken {
            let (done, failed) = (BTreeSet::new(), BTreeMap::new());
            self.partitions[partition].owner = Some(Consumer {
                guard,
                done,
                failed,
                from,
            });
        }
    }

    /// Takes some record a step further. One that lost the partition only writes: its handler was stopped.
    async fn consume_as(
        &mut self,
        partition: usize,
        consumer: &mut Consumer<S>,
        owns: bool,
    ) -> Process {
        let log = &self.partitions[partition].log;
        let oldest = (consumer.from..log.len()).find(|offset| !consumer.done.contains(offset));
        let Some(oldest) = oldest else {
            return Process::Goes;
        };
        let window = oldest..log.len().min(oldest + WINDOW);
        let ready: Vec<usize> = window
            .filter(|offset| is_next(log, &consumer.done, oldest, *offset))
            .collect();
        let offset = ready[self.random.below(ready.len())];
        let record = log[offset].clone();
        if let Some(remainders) = consumer.failed.get(&offset) {
            return match consumer.guard.park(&record, remainders).await {
                Ok(()) => {
                    consumer.failed.remove(&offset);
                    consumer.done.insert(offset);
                    Process::Goes
                }
                Err(error) => self.after(&error),
            };
        }
        match consumer.guard.admit(&record).await {
            Ok(Admission::Process) if owns => {
                let left = self.handle(&record).await;
                if left.is_empty() {
                    consumer.done.insert(offset);
                } else {
                    consumer.failed.insert(offset, left);
                }
                Process::Goes
            }
            Ok(Admission::Process) => Process::Crashed,
            Ok(Admission::Parked | Admission::DealtWith) => {
                consumer.done.insert(offset);
                Process::Goes
            }
            Err(error) => self.after(&error),
        }
    }

    pub(super) async fn commit(&mut self, partition: usize) {
        self.fault();
        let of = &mut self.partitions[partition];
        let Some(owner) = &of.owner else {
            return;
        };
        of.committed = (owner.from..)
            .find(|offset| !owner.done.contains(offset))
            .unwrap();
        let committed = i64::try_from(of.committed).unwrap();
        if let Err(error) = owner.guard.forget(committed).await
            && let Process::Crashed = self.after(&error)
        {
            self.partitions[partition].owner = None;
        }
    }
}

/// Whether no record of the key is before it that is not dealt with.
fn is_next(log: &[Record], done: &BTreeSet<usize>, from: usize, offset: usize) -> bool {
    let before =
        (from..offset).any(|other| !done.contains(&other) && log[other].key == log[offset].key);
    !done.contains(&offset) && (log[offset].key.is_none() || !before)
}
