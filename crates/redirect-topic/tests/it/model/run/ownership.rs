//! Whose a partition is, and how it becomes another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cdc_event::{KeyOrder, OrderDisposition, OrderError, PartitionOrder};

use super::consumer::Consumer;
use super::task::Task;
use super::{PROCESSES, Run};
use crate::model::source::{Source, id};

/// As many that lost it and do not know.
const ASLEEP: usize = 2;

/// A partition of the source, and whose it is.
pub(super) struct Partition {
    pub(super) source: Source,
    pub(super) owner: Option<Consumer>,
    /// Those that lost it and do not know.
    pub(super) asleep: Vec<Consumer>,
    taking: Option<Taking>,
    giving: Option<Giving>,
    /// The topic was made anew, and nobody has said so.
    is_new: Arc<AtomicBool>,
}

/// Somebody takes it over.
struct Taking {
    process: usize,
    task: Task<Result<Arc<dyn PartitionOrder>, OrderError>>,
}

/// Its owner gives it away.
struct Giving {
    process: usize,
    task: Task<()>,
}

impl Partition {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            owner: None,
            asleep: Vec::new(),
            taking: None,
            giving: None,
            is_new: Arc::default(),
        }
    }

    /// Whether a process may have its records handled.
    pub(super) fn belongs_to(&self, process: usize) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|owner| owner.process == process)
            || self
                .giving
                .as_ref()
                .is_some_and(|giving| giving.process == process)
    }

    /// Its owner loses it, and does not know.
    pub(super) fn falls_asleep(&mut self) {
        if self.asleep.len() < ASLEEP {
            self.asleep.extend(self.owner.take());
        }
    }

    /// A process is gone.
    pub(super) fn loses(&mut self, process: usize) {
        self.owner.take_if(|owner| owner.process == process);
        self.taking.take_if(|taking| taking.process == process);
        self.giving.take_if(|giving| giving.process == process);
        self.asleep.retain(|asleep| asleep.process != process);
    }

    /// Nobody is left who lost it.
    pub(super) fn wakes(&mut self) {
        self.asleep.clear();
    }
}

impl Run {
    /// Somebody takes a free partition over, step by step.
    pub(super) async fn take_over(&mut self, partition: usize) {
        let of = &mut self.partitions[partition];
        if of
            .giving
            .take_if(|giving| giving.task.is_finished())
            .is_some()
            || of.giving.is_some()
        {
            return;
        }
        let Some(taking) = of.taking.take_if(|taking| taking.task.is_finished()) else {
            if of.taking.is_none() {
                self.begin_to_take(partition);
            }
            return;
        };
        match taking.task.result().await {
            Ok(guard) => {
                let from = of.source.committed;
                of.owner = Some(Consumer::new(taking.process, guard, from));
                self.ledger
                    .note(format!("{partition} is of {}", taking.process));
            }
            Err(error) => {
                let refused = error.disposition == OrderDisposition::Permanent;
                assert!(!refused, "refused for good: {error:?}");
            }
        }
    }

    fn begin_to_take(&mut self, partition: usize) {
        let process = &self.processes[self.random.below(PROCESSES)];
        let order = Arc::clone(&process.order);
        let of = &mut self.partitions[partition];
        let assigned = of.source.assigned();
        let is_new = Arc::clone(&of.is_new);
        // As the runner does when it finds that out.
        let take = async move {
            if is_new.load(Ordering::Relaxed) {
                order.restart(&assigned).await?;
                is_new.store(false, Ordering::Relaxed);
            }
            order.take_over(&assigned).await
        };
        of.taking = Some(Taking {
            process: process.number,
            task: Task::spawn(take),
        });
    }

    /// The owner gives its partition away in order; what it is at may come to an end.
    pub(super) fn give_away(&mut self, partition: usize) {
        let of = &mut self.partitions[partition];
        let Some(owner) = of.owner.take() else {
            return;
        };
        if self.random.percent(70) {
            of.source.committed = owner.passed();
        }
        self.ledger
            .note(format!("{} gives {partition} away", owner.process));
        let guard = Arc::clone(&owner.guard);
        of.giving = Some(Giving {
            process: owner.process,
            task: Task::spawn(async move { guard.release().await }),
        });
    }

    /// The topic is deleted and made anew. What nobody has read is gone, and so is whoever reads.
    pub(super) fn make_anew(&mut self, partition: usize) {
        let of = &mut self.partitions[partition];
        let is_due = self.setting.is_made_anew && of.source.generation == 0 && of.giving.is_none();
        if !is_due || of.owner.is_none() {
            return;
        }
        self.ledger.note(format!("{partition} is made anew"));
        of.owner = None;
        of.asleep.clear();
        of.taking = None;
        for record in &of.source.log {
            let id = id(record);
            let key = crate::model::source::entry(id, None);
            let waited = self.log.waiting(|waiting| waiting.has_waited(&key));
            if !waited && !self.ledger.history.contains(id) {
                self.ledger.remove(id);
            }
        }
        of.is_new.store(true, Ordering::Relaxed);
        of.source = Source::new(partition, 1, &mut self.random);
        self.add_records(partition);
    }
}
