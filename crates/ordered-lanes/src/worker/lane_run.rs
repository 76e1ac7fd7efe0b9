//! One lane, from its claim until it is let go.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    Backoff, DeadHead, Fate, HandlerError, Head, HeadHandler, KafkaPosition, NotDealt, Unfinished,
};
use metrics::counter;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Causes, WorkerSettings};
use crate::claimed::ClaimedLane;
use crate::error::{Disposition, Error};
use crate::held::tell_held;
use crate::metric;
use crate::remainder::Remainder;
use crate::store::{LaneEventId, LaneStore, Rest};

/// Pauses before what came of an attempt is written again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// A lease is renewed after this part of its time, so that one renewal may fail.
const RENEWALS: u32 = 3;

pub(super) struct LaneRun {
    pub(super) heads: Arc<dyn HeadHandler>,
    pub(super) turn: Duration,
    pub(super) dead_head: DeadHead,
    pub(super) group: String,
    /// Take no further event.
    pub(super) stop: CancellationToken,
    /// Let go of the one that is being handled.
    pub(super) abandon: CancellationToken,
}

/// The handler cannot go on.
#[derive(Debug)]
pub(super) struct Fatal {
    pub(super) origin: KafkaPosition,
    pub(super) error: HandlerError,
}

/// What came of an attempt.
enum Attempted {
    Ended(Result<Vec<Unfinished>, NotDealt>),
    /// The lease could not be kept.
    Lost,
    /// There is no more time.
    Abandoned,
}

/// Why a lane is not run any longer.
enum Ended {
    /// The store let it go, with what came of the last attempt.
    Released,
    /// Others have their turn; this one not before the pause has passed.
    Enough(Duration),
    /// It stays as it is until its lease is over.
    Left(Error),
    /// The handler cannot go on.
    Fatal(Box<Fatal>),
}

impl LaneRun {
    pub(super) fn new(
        heads: &Arc<dyn HeadHandler>,
        settings: &WorkerSettings,
        stop: &CancellationToken,
        abandon: &CancellationToken,
    ) -> Self {
        Self {
            heads: Arc::clone(heads),
            turn: settings.turn,
            dead_head: settings.dead_head,
            group: settings.group.clone(),
            stop: stop.clone(),
            abandon: abandon.clone(),
        }
    }

    /// Runs a lane until it is let go. Only what the handler cannot go on with comes back; what the store did not do
    /// is logged, and the lane is due again when its lease is over.
    pub(super) async fn run<S: LaneStore>(
        self,
        mut lane: ClaimedLane<S>,
    ) -> Result<(), Box<Fatal>> {
        match self.events(&mut lane).await {
            Ended::Released => Ok(()),
            Ended::Enough(pause) => {
                self.release(lane, pause).await;
                Ok(())
            }
            Ended::Left(error) => {
                self.left(&error);
                Ok(())
            }
            Ended::Fatal(fatal) => {
                self.release(lane, Duration::ZERO).await;
                Err(fatal)
            }
        }
    }

    async fn events<S: LaneStore>(&self, lane: &mut ClaimedLane<S>) -> Ended {
        let started = Instant::now();
        loop {
            let (id, head) = match lane.next().await {
                Ok(Some(event)) => (event.id, Head::from(event)),
                Ok(None) => return Ended::Released,
                Err(error) => return Ended::Left(error),
            };
            let left = match self.attempt(lane, &head).await {
                Attempted::Ended(Ok(left)) => left,
                Attempted::Ended(Err(NotDealt::Stopped)) | Attempted::Abandoned => {
                    return Ended::Enough(Duration::ZERO);
                }
                Attempted::Ended(Err(NotDealt::NotNow(pause))) => return Ended::Enough(pause),
                Attempted::Ended(Err(NotDealt::Fatal(error))) => {
                    let origin = head.record.origin;
                    return Ended::Fatal(Box::new(Fatal { origin, error }));
                }
                Attempted::Lost => return Ended::Left(Error::LeaseLost),
            };
            match self.record(lane, id, &left).await {
                Ok(rest) => {
                    self.tell(&head, &left);
                    let is_over = self.stop.is_cancelled() || started.elapsed() >= self.turn;
                    match rest {
                        Rest::Released => return Ended::Released,
                        Rest::More if is_over => return Ended::Enough(Duration::ZERO),
                        Rest::More => {}
                    }
                }
                Err(error) => return Ended::Left(error),
            }
        }
    }

    async fn attempt<S: LaneStore>(&self, lane: &mut ClaimedLane<S>, head: &Head) -> Attempted {
        tokio::select! {
            biased;
            ended = self.heads.deal(head) => Attempted::Ended(ended),
            () = keep(lane) => Attempted::Lost,
            () = self.abandon.cancelled() => Attempted::Abandoned,
        }
    }

    /// Writes what came of an attempt, again and again while the lease lasts: it would be repeated otherwise.
    async fn record<S: LaneStore>(
        &self,
        lane: &mut ClaimedLane<S>,
        event: LaneEventId,
        left: &[Unfinished],
    ) -> Result<Rest, Error> {
        let left: Vec<Remainder> = left.iter().map(Remainder::of).collect();
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        loop {
            let result = if left.is_empty() {
                lane.succeeded(event).await
            } else {
                lane.failed(event, &left, self.dead_head).await
            };
            match result {
                Err(error) if error.disposition() == Disposition::Transient => {
                    let pause = backoff.next_delay(1.0);
                    if Instant::now() + pause >= lane.until() {
                        return Err(error);
                    }
                    sleep(pause).await;
                }
                Ok(rest) => return Ok(rest),
                Err(error) => return Err(error),
            }
        }
    }

    fn tell(&self, head: &Head, left: &[Unfinished]) {
        if left.is_empty() {
            self.count(metric::OUTCOME_SUCCEEDED);
        }
        for unfinished in left {
            let outcome = match unfinished.fate {
                Fate::Again(_) => metric::OUTCOME_RETRY,
                Fate::Dead => metric::OUTCOME_DEAD,
            };
            self.count(outcome);
        }
        tell_held(&self.group, &head.record.origin, left, self.dead_head);
    }

    fn count(&self, outcome: &'static str) {
        let group = self.group.clone();
        counter!(metric::ATTEMPTS, metric::GROUP => group, metric::OUTCOME => outcome).increment(1);
    }

    async fn release<S: LaneStore>(&self, lane: ClaimedLane<S>, pause: Duration) {
        if let Err(error) = lane.release_for(pause).await {
            self.left(&error);
        }
    }

    fn left(&self, error: &Error) {
        match error.disposition() {
            Disposition::Superseded => {
                counter!(metric::LEASES_LOST, metric::GROUP => self.group.clone()).increment(1);
                debug!(group = self.group, "another worker has the lane");
            }
            Disposition::Transient | Disposition::Permanent => {
                counter!(metric::STORE_ERRORS, metric::GROUP => self.group.clone()).increment(1);
                warn!(group = self.group, error = %Causes(error), "a lane is left until its lease is over");
            }
        }
    }
}

/// Keeps the lease; returns when it is lost, or can't be kept.
///
/// Cancellation safe.
async fn keep<S: LaneStore>(lane: &mut ClaimedLane<S>) {
    let pause = lane.term() / RENEWALS;
    loop {
        sleep_until((Instant::now() + pause).min(lane.until())).await;
        match timeout_at(lane.until(), lane.renew()).await {
            Ok(Ok(())) => {}
            Ok(Err(error))
                if error.disposition() == Disposition::Transient
                    && Instant::now() < lane.until() => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
