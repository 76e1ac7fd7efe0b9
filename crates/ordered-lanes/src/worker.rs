//! Runs a handler over the lanes of a group that are due.

mod lane_run;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Backoff, DeadHead, HandlerError, HeadHandler, KafkaPosition};
use metrics::counter;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::lane_run::{Fatal, LaneRun};
use crate::claimed::claim_due;
use crate::error::{Disposition, Error};
use crate::metric;
use crate::store::LaneStore;

/// Pauses after the store did not answer.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// For letting lanes go after the drain is over.
const LET_GO: Duration = Duration::from_secs(1);

/// Has a [`HeadHandler`] deal with the lanes of a group that are due: records of one key one after the other, those of
/// different keys at the same time. Any number of workers may run, in any process.
pub struct LaneWorker<S> {
    store: Arc<S>,
    heads: Arc<dyn HeadHandler>,
    settings: WorkerSettings,
}

/// How a [`LaneWorker`] works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The consumer group whose lanes it runs.
    pub group: String,
    /// How many lanes at the same time.
    pub concurrency: NonZeroUsize,
    /// For how long a lane is reserved; renewed while its handler runs. So long a lane stands still after its worker
    /// was killed.
    pub lease: Duration,
    /// How often it looks for lanes that are due.
    pub poll: Duration,
    /// How long a lane may run before others get their turn.
    pub turn: Duration,
    /// What becomes of the records behind one that is given up.
    pub dead_head: DeadHead,
    /// How long handlers may go on after the stop.
    pub drain: Duration,
}

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The lanes can't be read, and waiting will not help.
    #[error("the lanes of group {group:?} cannot be run")]
    Store {
        /// The consumer group.
        group: String,
        /// Why.
        source: Error,
    },
    /// The handler says that it cannot go on.
    #[error("the handler of group {group:?} cannot go on at {origin}")]
    Handler {
        /// The consumer group.
        group: String,
        /// The record.
        origin: KafkaPosition,
        /// Why.
        source: HandlerError,
    },
}

impl<S: LaneStore> LaneWorker<S> {
    /// A worker that does nothing until [`run`](Self::run).
    #[must_use]
    pub fn new(store: Arc<S>, heads: Arc<dyn HeadHandler>, settings: WorkerSettings) -> Self {
        Self {
            store,
            heads,
            settings,
        }
    }

    /// Runs until `stop`, then lets the handlers that are running come to an end within the drain, and the lanes go;
    /// those of a claim that the stop cut short are left alone until their lease is over.
    /// While the store does not answer it waits; leases end meanwhile, and with them what is being handled.
    ///
    /// Dropping the future drops the handlers too; their lanes are free when their leases are over.
    ///
    /// # Errors
    ///
    /// [`WorkerError`], after a drain too.
    pub async fn run(&self, stop: &CancellationToken) -> Result<(), WorkerError> {
        // One of our own: an error here stops the lanes, and nobody else.
        let stop = stop.child_token();
        let abandon = CancellationToken::new();
        let mut running = JoinSet::new();
        let ended = self.work(&mut running, &stop, &abandon).await;
        stop.cancel();
        let drained = timeout(self.settings.drain, all(&mut running)).await;
        let drained = if let Ok(drained) = drained {
            drained
        } else {
            abandon.cancel();
            timeout(LET_GO, all(&mut running)).await.unwrap_or(Ok(()))
        };
        ended.and(drained.map_err(|error| self.fatal(*error)))
    }

    async fn work(
        &self,
        running: &mut JoinSet<Result<(), Box<Fatal>>>,
        stop: &CancellationToken,
        abandon: &CancellationToken,
    ) -> Result<(), WorkerError> {
        let settings = &self.settings;
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        loop {
            while let Some(ended) = running.try_join_next() {
                result(ended).map_err(|error| self.fatal(*error))?;
            }
            let free = settings.concurrency.get() - running.len();
            let pause = if free == 0 {
                None
            } else {
                let claimed = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    claimed = claim_due(&self.store, &settings.group, free, settings.lease) => claimed,
                };
                match claimed {
                    Ok(lanes) => {
                        backoff.reset();
                        for lane in lanes {
                            let run = LaneRun::new(&self.heads, settings, stop, abandon);
                            running.spawn(run.run(lane));
                        }
                        Some(settings.poll)
                    }
                    Err(source) => match source.disposition() {
                        Disposition::Transient | Disposition::Superseded => {
                            counter!(metric::STORE_ERRORS, metric::GROUP => settings.group.clone())
                                .increment(1);
                            warn!(group = settings.group, error = %Causes(&source), "cannot look for lanes that are due");
                            Some(backoff.next_delay(1.0))
                        }
                        Disposition::Permanent => {
                            let group = settings.group.clone();
                            return Err(WorkerError::Store { group, source });
                        }
                    },
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    result(ended).map_err(|error| self.fatal(*error))?;
                }
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    fn fatal(&self, fatal: Fatal) -> WorkerError {
        WorkerError::Handler {
            group: self.settings.group.clone(),
            origin: fatal.origin,
            source: fatal.error,
        }
    }
}

/// Waits for all; the first error counts. Cancellation safe: what ended is out of the set, but its error is lost.
async fn all(running: &mut JoinSet<Result<(), Box<Fatal>>>) -> Result<(), Box<Fatal>> {
    let mut first = Ok(());
    while let Some(ended) = running.join_next().await {
        first = first.and(result(ended));
    }
    first
}

/// Handlers' panics are caught where they run, so one that comes here is ours.
fn result(ended: Result<Result<(), Box<Fatal>>, JoinError>) -> Result<(), Box<Fatal>> {
    match ended {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Ok(()),
        },
    }
}

/// An error with its causes, for a log line.
struct Causes<'a>(&'a dyn std::error::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let causes = std::iter::successors(self.0.source(), |cause| (*cause).source());
        for cause in causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl<S> fmt::Debug for LaneWorker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneWorker")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
