//! Workers that take lanes, lose them, and die.

use cdc_event::{Fate, PartId, Turn};
use ordered_lanes::{ClaimedLane, LaneStore, ParkedEvent, Remainder, Rest, claim_due};

use super::{Process, Run, id};
use crate::model::World;
use crate::model::faulty::Faulty;
use crate::records::{HOUR, left};

/// A worker with a lane.
pub(super) struct Worker<S> {
    lane: ClaimedLane<Faulty<S>>,
    event: Option<ParkedEvent>,
    /// What the handler left of the event.
    left: Option<Vec<Remainder>>,
    expired: bool,
}

impl<S: LaneStore, W: World> Run<S, W> {
    pub(super) async fn claim(&mut self) {
        self.fault();
        let limit = 1 + self.random.below(3);
        if let Ok(lanes) = claim_due(&self.store, &self.group, limit, HOUR).await {
            let worker = |lane| Worker {
                lane,
                event: None,
                left: None,
                expired: false,
            };
            self.workers.extend(lanes.into_iter().map(worker));
        }
    }

    pub(super) async fn age(&mut self) {
        self.world.age().await;
        for worker in &mut self.workers {
            worker.expired = true;
        }
    }

    pub(super) async fn work(&mut self) {
        let workers = self.workers.len();
        if workers == 0 {
            return;
        }
        let worker = self.workers.swap_remove(self.random.below(workers));
        self.fault();
        let worker = self.work_as(worker).await;
        self.workers.extend(worker);
    }

    /// Takes a lane a step further; `None` when the worker is done with it, or gone.
    async fn work_as(&mut self, mut worker: Worker<S>) -> Option<Worker<S>> {
        let result = match (worker.event.take(), worker.left.take()) {
            (None, _) => match worker.lane.next().await {
                Ok(None) => return None,
                Ok(event) => {
                    worker.event = event;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            // Its lease is over: it must not begin.
            (Some(_), None) if worker.expired => return None,
            (Some(event), None) => {
                worker.left = Some(match event.turn {
                    Turn::Try => self.handle(&event.record).await,
                    Turn::GiveUp => left(Fate::Dead),
                });
                worker.event = Some(event);
                Ok(())
            }
            (Some(event), Some(left)) => {
                let rest = if left.is_empty() {
                    worker.lane.succeeded(event.id).await
                } else {
                    worker
                        .lane
                        .failed(event.id, &left, self.setting.dead_head)
                        .await
                };
                match rest {
                    Ok(rest) => {
                        if left.is_empty() {
                            let part = event.record.part.as_ref().map(PartId::as_str);
                            self.history.settled(id(&event.record), part);
                        }
                        if rest == Rest::Released {
                            return None;
                        }
                        worker.expired = false;
                        Ok(())
                    }
                    Err(error) => {
                        (worker.event, worker.left) = (Some(event), Some(left));
                        Err(error)
                    }
                }
            }
        };
        match result.map_err(|error| self.after(&error)) {
            Ok(()) | Err(Process::Goes) => Some(worker),
            Err(Process::Crashed) => None,
        }
    }
}
