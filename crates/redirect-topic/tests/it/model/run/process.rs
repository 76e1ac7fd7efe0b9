//! A process of the group: what it keeps the order with, and who deals with what waits there.

use std::sync::{Arc, Mutex};

use cdc_event::{DrainError, Head, HeadHandler, KeyOrder, Later, NotDealt, Unfinished};
use redirect_topic::{RedirectSettings, RedirectTopic};
use tokio::sync::oneshot;

use super::task::Task;
use crate::model::log::MemoryLog;
use crate::model::source::GROUP;

/// A process of the group; dropping it is a crash.
pub(super) struct Process {
    /// No other has it.
    pub(super) number: usize,
    pub(super) order: Arc<RedirectTopic<MemoryLog>>,
    drain: Option<Task<Result<(), DrainError>>>,
}

/// A record whose turn has come, and who waits for what becomes of it.
pub(super) struct Deal {
    pub(super) process: usize,
    pub(super) head: Head,
    pub(super) reply: oneshot::Sender<Result<Vec<Unfinished>, NotDealt>>,
}

/// Where all of them come in.
pub(super) type Deals = Arc<Mutex<Vec<Deal>>>;

/// Leaves to the schedule what becomes of a record.
struct Heads {
    process: usize,
    deals: Deals,
}

impl Process {
    pub(super) fn start(
        number: usize,
        log: &MemoryLog,
        settings: RedirectSettings,
        deals: &Deals,
    ) -> Self {
        let order = Arc::new(RedirectTopic::with_log(Arc::new(log.clone()), settings));
        let heads = Arc::new(Heads {
            process: number,
            deals: Arc::clone(deals),
        });
        let draining = Arc::clone(&order);
        let drain = Task::spawn(async move {
            let never = Box::pin(std::future::pending());
            draining.drain(GROUP, heads, never).await
        });
        Self {
            number,
            order,
            drain: Some(drain),
        }
    }

    /// What waits is dealt with, for ever.
    pub(super) async fn check(&mut self) {
        if let Some(drain) = self.drain.take_if(|drain| drain.is_finished()) {
            let ended = drain.result().await;
            panic!("what waits is not dealt with any more: {ended:?}");
        }
    }
}

impl HeadHandler for Heads {
    fn deal<'a>(&'a self, head: &'a Head) -> Later<'a, Result<Vec<Unfinished>, NotDealt>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.deals.lock().unwrap().push(Deal {
                process: self.process,
                head: head.clone(),
                reply,
            });
            answer.await.unwrap_or(Err(NotDealt::Stopped))
        })
    }
}
