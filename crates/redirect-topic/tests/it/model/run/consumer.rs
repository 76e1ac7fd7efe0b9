//! Who reads a partition, or did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cdc_event::{Admission, OrderDisposition, OrderError, PartitionOrder, Record};

use super::handling::{Left, unfinished};
use super::task::Task;

/// How far it reads ahead of the oldest record that is not dealt with.
const WINDOW: usize = 6;

/// Who reads a partition, or did and does not know.
pub(super) struct Consumer {
    pub(super) process: usize,
    pub(super) guard: Arc<dyn PartitionOrder>,
    from: usize,
    done: BTreeSet<usize>,
    stages: BTreeMap<usize, Stage>,
    /// It lets go what need not be remembered.
    forgetting: Option<Task<()>>,
}

/// How far a record is.
enum Stage {
    Asked(Task<Result<Admission, OrderError>>),
    ItsTurn,
    /// What is left of it has to wait.
    Failed(Vec<Left>),
    Parking(Vec<Left>, Task<Result<(), OrderError>>),
}

/// What has to be done for a record.
pub(super) enum Todo {
    Nothing,
    Handle(usize),
    /// The partition is somebody else's.
    Leave,
}

impl Consumer {
    pub(super) fn new(process: usize, guard: Arc<dyn PartitionOrder>, from: usize) -> Self {
        Self {
            process,
            guard,
            from,
            done: BTreeSet::new(),
            stages: BTreeMap::new(),
            forgetting: None,
        }
    }

    /// All before it is dealt with, or waits.
    pub(super) fn passed(&self) -> usize {
        let mut offsets = self.from..;
        offsets
            .find(|offset| !self.done.contains(offset))
            .unwrap_or(self.from)
    }

    /// Nothing before this is read again. What could not be forgotten is for later, as it is for the runner.
    pub(super) fn forget(&mut self, committed: i64) {
        let guard = Arc::clone(&self.guard);
        let forget = async move { drop(guard.forget(committed).await) };
        self.forgetting = Some(Task::spawn(forget));
    }

    /// Records that can be taken a step further.
    pub(super) fn ready(&self, log: &[Record]) -> Vec<usize> {
        let oldest = self.passed();
        let window = oldest..log.len().min(oldest + WINDOW);
        let is_next = |offset: &usize| {
            let key = &log[*offset].key;
            let before = || {
                (oldest..*offset).any(|other| !self.done.contains(&other) && log[other].key == *key)
            };
            !self.done.contains(offset) && (key.is_none() || !before())
        };
        window.filter(is_next).collect()
    }

    /// The record was handled.
    pub(super) fn handled(&mut self, offset: usize, left: Vec<Left>) {
        if left.is_empty() {
            self.done.insert(offset);
        } else {
            self.stages.insert(offset, Stage::Failed(left));
        }
    }

    /// Takes a record a step further.
    pub(super) async fn step(&mut self, offset: usize, record: &Record) -> Todo {
        let guard = Arc::clone(&self.guard);
        let copy = record.clone();
        match self.stages.remove(&offset) {
            None => {
                let ask = Task::spawn(async move { guard.admit(&copy).await });
                let stage = Stage::Asked(ask);
                self.stages.insert(offset, stage);
            }
            Some(Stage::Asked(ask)) if ask.is_finished() => match ask.result().await {
                Ok(Admission::Process) => drop(self.stages.insert(offset, Stage::ItsTurn)),
                Ok(Admission::Parked | Admission::DealtWith) => drop(self.done.insert(offset)),
                Err(error) => return after(&error),
            },
            Some(Stage::ItsTurn) => return Todo::Handle(offset),
            Some(Stage::Failed(left)) => {
                let remainders = unfinished(&left, 1);
                let park = Task::spawn(async move { guard.park(&copy, &remainders).await });
                let stage = Stage::Parking(left, park);
                self.stages.insert(offset, stage);
            }
            Some(Stage::Parking(left, park)) if park.is_finished() => match park.result().await {
                Ok(()) => drop(self.done.insert(offset)),
                Err(error) => {
                    self.stages.insert(offset, Stage::Failed(left));
                    return after(&error);
                }
            },
            Some(waits) => drop(self.stages.insert(offset, waits)),
        }
        Todo::Nothing
    }
}

/// What could not be done is done again.
fn after(error: &OrderError) -> Todo {
    match error.disposition {
        OrderDisposition::Transient => Todo::Nothing,
        OrderDisposition::Superseded => Todo::Leave,
        OrderDisposition::Permanent => panic!("refused for good: {error:?}"),
    }
}
