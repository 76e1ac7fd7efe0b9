//! Has records that wait dealt with when they are due.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{DrainError, HeadHandler, Later};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::lane_run::{LaneRun, Stops};
use crate::log::Log;
use crate::opening::Opening;
use crate::registry::Registry;
use crate::settings::RedirectSettings;

/// A clock that jumps is looked at again after this.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// For letting lanes go after the drain is over.
const LET_GO: Duration = Duration::from_secs(1);

/// Deals with the lanes that are due in the partitions that this instance owns.
pub(crate) struct Drain<L> {
    pub(crate) group: String,
    pub(crate) registry: Arc<Registry>,
    pub(crate) opening: Arc<Opening<L>>,
    pub(crate) heads: Arc<dyn HeadHandler>,
    pub(crate) settings: RedirectSettings,
}

impl<L: Log> Drain<L> {
    /// Runs until `stop`, then lets what is begun come to an end.
    pub(crate) async fn run(self, stop: Later<'_, ()>) -> Result<(), DrainError> {
        let stops = Stops {
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
        };
        let mut running = JoinSet::new();
        let ended = tokio::select! {
            biased;
            () = stop => Ok(()),
            ended = self.work(&mut running, &stops) => ended,
        };
        stops.stop.cancel();
        let drained = match timeout(self.settings.drain, all(&mut running)).await {
            Ok(drained) => drained,
            Err(_) => {
                stops.abandon.cancel();
                timeout(LET_GO, all(&mut running)).await.unwrap_or(Ok(()))
            }
        };
        ended.and(drained).map_err(|error| *error)
    }

    async fn work(
        &self,
        running: &mut JoinSet<Result<(), Box<DrainError>>>,
        stops: &Stops,
    ) -> Result<(), Box<DrainError>> {
        let mut changes = self.registry.changes();
        loop {
            // Before the look: what changes after it wakes this task.
            changes.mark_unchanged();
            while let Some(ended) = running.try_join_next() {
                result(ended)?;
            }
            let now = self.opening.log.now();
            let free = self.settings.concurrency.get() - running.len();
            for (owned, lane) in self.registry.take_due(&self.group, now, free) {
                let (heads, opening) = (Arc::clone(&self.heads), Arc::clone(&self.opening));
                running.spawn(LaneRun::new(owned, lane, heads, opening, stops.clone()).run());
            }
            let has_room = running.len() < self.settings.concurrency.get();
            let next = self.registry.next_due(&self.group);
            let nap = next.map(|due| due.duration_since(now).unwrap_or_default());
            tokio::select! {
                biased;
                Some(ended) = running.join_next(), if !running.is_empty() => result(ended)?,
                _ = changes.changed(), if has_room => {}
                () = sleep(nap.unwrap_or(LONGEST_NAP).min(LONGEST_NAP)), if has_room => {}
            }
        }
    }
}

/// Waits for all; the first error counts. Cancellation safe: what ended is out of the set, but its error is lost.
async fn all(running: &mut JoinSet<Result<(), Box<DrainError>>>) -> Result<(), Box<DrainError>> {
    let mut first = Ok(());
    while let Some(ended) = running.join_next().await {
        first = first.and(result(ended));
    }
    first
}

/// Handlers' panics are caught where they run, so one that comes here is ours.
fn result(ended: Result<Result<(), Box<DrainError>>, JoinError>) -> Result<(), Box<DrainError>> {
    match ended {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Ok(()),
        },
    }
}
