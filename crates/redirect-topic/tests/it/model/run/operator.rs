//! Who deals with what was given up.

use std::sync::Arc;

use cdc_event::{Attempt, KeyOrder, OrderDisposition, Record, Replayed};

use order_model::Id;

use super::task::Task;
use super::{PROCESSES, Run};
use crate::model::source::{self, GROUP, entry, id, part};
use crate::model::waiting::Said;

/// Something that was given up, and what is done about it.
pub(super) struct Operation {
    record: Record,
    is_replay: bool,
    /// Until it is done.
    task: Option<Task<Result<Option<Replayed>, OrderDisposition>>>,
    is_begun: bool,
}

impl Run {
    /// It is with the dead letters.
    pub(super) fn add_letter(&mut self, record: Record) {
        let is_known = |other: &Operation| other.record == record && !other.is_begun;
        if !self.operations.iter().any(is_known) {
            self.operations.push(Operation {
                is_replay: self.random.percent(60),
                record,
                task: None,
                is_begun: false,
            });
        }
    }

    /// Whether nothing is left to be dealt with.
    pub(super) fn is_cleared(&self) -> bool {
        self.operations.is_empty()
    }

    /// Deals with something that was given up, a step further.
    pub(super) async fn operate(&mut self) {
        if self.operations.is_empty() {
            return;
        }
        let place = self.random.below(self.operations.len());
        let mut operation = self.operations.swap_remove(place);
        match operation.task.take_if(|task| task.is_finished()) {
            Some(task) => match task.result().await {
                Ok(Some(Replayed::Unknown)) => {
                    self.handle_elsewhere(&operation.record);
                    return;
                }
                Ok(Some(Replayed::Taken) | None) => return,
                Err(disposition) => {
                    assert_ne!(disposition, OrderDisposition::Permanent, "refused for good");
                }
            },
            None if operation.task.is_none() => self.begin(&mut operation),
            None => {}
        }
        self.operations.push(operation);
    }

    /// Whether it is on record that something was given up; it may not have come to that before a crash.
    fn is_on_record(&self, id: Id, part: Option<&str>) -> bool {
        let is_passed = self.partitions.iter().any(|partition| {
            let read = &partition.source.log[..partition.source.committed];
            read.iter().any(|record| source::id(record) == id)
        });
        let is_over = self.ledger.is_over(id);
        self.log
            .waiting(|waiting| match waiting.said(&entry(id, part)) {
                Some(Said::Held | Said::Skipped) => true,
                _ => {
                    is_passed && is_over && !waiting.of_record(id).any(|said| *said == Said::Waits)
                }
            })
    }

    /// It is tried as any other retry, as nothing is known of it where it waited.
    fn handle_elsewhere(&mut self, record: &Record) {
        let id = id(record);
        let mut left = self.ledger.history.left(id);
        let is_done = part(record).is_some_and(|part| left.all(|other| other != part));
        let may_be = is_done || self.ledger.is_over(id) || !self.ledger.is_held_for(id);
        assert!(may_be, "{id:?} comes back, and is not known");
        drop(left);
        self.ledger.history.succeeded(id, part(record));
    }

    /// Once it is on record what became of it.
    fn begin(&mut self, operation: &mut Operation) {
        let record = operation.record.clone();
        let (id, part) = (id(&record), part(&record));
        if !operation.is_begun && !self.is_on_record(id, part) {
            return;
        }
        operation.is_begun = true;
        let order = Arc::clone(&self.processes[self.random.below(PROCESSES)].order);
        if operation.is_replay {
            self.ledger.replays(id);
        } else {
            self.ledger.discards(id, part);
        }
        let is_replay = operation.is_replay;
        let operate = async move {
            if is_replay {
                let replayed = order.replay(GROUP, &record, Attempt::FIRST, None).await;
                return replayed.map(Some).map_err(|error| error.disposition);
            }
            let discarded = order.discard(GROUP, &record.origin, record.part.as_ref());
            let discarded = discarded.await.map(|()| None);
            discarded.map_err(|error| error.disposition())
        };
        operation.task = Some(Task::spawn(operate));
    }
}
