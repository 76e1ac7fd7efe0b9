//! The end of a schedule: no more trouble, all that can be done is done, and then it must be as was promised.

use std::time::Duration;

use cdc_event::DeadHead;
use tokio::time::sleep;

use super::{LONG, PROCESSES, Run};
use crate::model::source::{PARTITIONS, id, id_of_entry};
use crate::model::waiting::{Said, Waiting};

/// More rounds than any schedule takes.
const ENOUGH: usize = 3000;

/// More rounds than it takes to let go what need not be remembered any more.
const FORGETS: usize = 200;

const MOMENT: Duration = Duration::from_millis(500);

impl Run {
    /// Lets everything come to rest, and checks.
    pub(super) async fn rest(&mut self) {
        self.ledger.note("rest".to_owned());
        self.healing = true;
        self.log.disarm();
        self.partitions.iter_mut().for_each(super::Partition::wakes);
        let mut rounds = 0;
        while !self.is_at_rest() {
            self.round().await;
            // Whoever waits for the redirect topic tries again; what waits for its time goes on doing that, unless there
            // is no room for others meanwhile.
            let is_late = self.is_read() || self.setting.is_tight;
            sleep(if is_late && rounds % 5 == 4 {
                LONG
            } else {
                MOMENT
            })
            .await;
            if self.setting.is_cleared {
                self.operate().await;
            }
            rounds += 1;
            assert!(rounds < ENOUGH, "{}", self.unrest());
        }
        // Whoever comes next has only what was written.
        for process in 0..PROCESSES {
            let number = self.processes[process].number;
            for partition in &mut self.partitions {
                partition.loses(number);
            }
            self.processes[process] = self.start();
        }
        for _ in 0..FORGETS {
            self.round().await;
            sleep(MOMENT).await;
            if self.left_behind().is_none() {
                break;
            }
        }
        self.check();
    }

    /// Everybody does what is to be done.
    async fn round(&mut self) {
        for partition in 0..PARTITIONS {
            for _ in 0..8 {
                self.consume(partition).await;
                self.turns(20).await;
            }
            self.commit(partition).await;
        }
        for _ in 0..4 {
            self.deal();
        }
    }

    /// Whether all records are dealt with, or wait.
    pub(super) fn is_read(&self) -> bool {
        self.partitions
            .iter()
            .all(|partition| partition.source.committed == partition.source.log.len())
    }

    fn is_at_rest(&self) -> bool {
        let left = self.setting.is_cleared && !self.is_cleared();
        self.is_read() && !left && self.waiting_for_nothing().is_none()
    }

    /// Something that waits, and for nobody.
    fn waiting_for_nothing(&self) -> Option<String> {
        let is_cleared = self.setting.is_cleared;
        self.log.waiting(|waiting| {
            let mut left = waiting.left();
            let left = left.find(|(key, said)| match said {
                Said::Waits => is_cleared || !self.waits_for_a_held_one(waiting, key),
                Said::Held | Said::Skipped => is_cleared,
                Said::Other => true,
                Said::Done => false,
            });
            left.map(|(key, said)| format!("{key}: {said:?}"))
        })
    }

    /// Whether a record waits for one of its key that is given up.
    fn waits_for_a_held_one(&self, waiting: &Waiting, key: &str) -> bool {
        let before = id_of_entry(key).map(|id| self.ledger.before(id));
        before.into_iter().flatten().any(|earlier| {
            let mut of_record = waiting.of_record(earlier);
            of_record.any(|said| *said == Said::Held)
        })
    }

    fn unrest(&self) -> String {
        let waiting = self.waiting_for_nothing();
        format!(
            "never at rest: read {}, cleared {}, waits {waiting:?}",
            self.is_read(),
            self.is_cleared()
        )
    }

    /// Something that need not be there any more.
    fn left_behind(&self) -> Option<String> {
        let (cleared, policy) = (self.setting.is_cleared, self.setting.dead_head);
        let may_stay = |said: &Said| match said {
            Said::Held | Said::Waits => !cleared && policy == DeadHead::Hold,
            Said::Skipped => !cleared && policy == DeadHead::Skip,
            Said::Done | Said::Other => false,
        };
        self.log.waiting(|waiting| {
            let mut left = waiting.left();
            let left = left.find(|(_, said)| !may_stay(said));
            left.map(|(key, said)| format!("{key}: {said:?}"))
        })
    }

    fn check(&self) {
        assert_eq!(self.left_behind(), None, "left behind");
        self.log.waiting(|waiting| {
            for partition in &self.partitions {
                for record in &partition.source.log {
                    let id = id(record);
                    let waits = waiting.of_record(id).next().is_some();
                    assert!(waits || self.ledger.is_over(id), "{id:?} is lost");
                }
            }
        });
        // What is repeated may have been given up, or gone with its topic, before it was repeated to the end.
        let may_break_off = self.setting.poison || self.setting.is_made_anew;
        self.ledger.check_order(may_break_off);
    }
}
