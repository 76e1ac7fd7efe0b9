//! One lane, from its claim until it is let go.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Attempt, Backoff, ErrorCode, Failure, Handler, HandlerError};
use metrics::counter;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::Causes;
use super::caught::caught;
use crate::claimed::ClaimedLane;
use crate::error::{Disposition, Error};
use crate::metric;
use crate::remainder::{DeadHead, Fate, Remainder};
use crate::schedule::{Schedule, remainders};
use crate::store::{LaneStore, ParkedEvent, Rest};

/// Pauses before what came of an attempt is written again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// A lease is renewed after this part of its time, so that one renewal may fail.
const RENEWALS: u32 = 3;

pub(super) struct LaneRun<H, D> {
    pub(super) handler: Arc<H>,
    pub(super) schedule: Arc<D>,
    pub(super) turn: Duration,
    pub(super) dead_head: DeadHead,
    pub(super) group: String,
    /// Take no further event.
    pub(super) stop: CancellationToken,
    /// Let go of the one that is being handled.
    pub(super) abandon: CancellationToken,
}

/// What came of an attempt.
enum Attempted {
    Ended(Result<(), Failure>),
    /// The lease could not be kept.
    Lost,
    /// There is no more time.
    Abandoned,
}

/// Why a lane is not run any longer.
enum Ended {
    /// The store let it go, with what came of the last attempt.
    Released,
    /// Others have their turn.
    Enough,
    /// It stays as it is until its lease is over.
    Left(Error),
    /// The handler cannot go on.
    Fatal(HandlerError),
}

impl<H: Handler, D: Schedule> LaneRun<H, D> {
    /// Runs a lane until it is let go. Only what the handler cannot go on with comes back; what the store did not do
    /// is logged, and the lane is due again when its lease is over.
    pub(super) async fn run<S: LaneStore>(
        self,
        mut lane: ClaimedLane<S>,
    ) -> Result<(), HandlerError> {
        match self.events(&mut lane).await {
            Ended::Released => Ok(()),
            Ended::Enough => {
                self.release(lane).await;
                Ok(())
            }
            Ended::Left(error) => {
                self.left(&error);
                Ok(())
            }
            Ended::Fatal(error) => {
                self.release(lane).await;
                Err(error)
            }
        }
    }

    async fn events<S: LaneStore>(&self, lane: &mut ClaimedLane<S>) -> Ended {
        let started = Instant::now();
        loop {
            let event = match lane.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return Ended::Released,
                Err(error) => return Ended::Left(error),
            };
            let attempt = event.attempt();
            let attempted = match self.lost(&event) {
                Some(failure) => Attempted::Ended(Err(failure)),
                None => self.attempt(lane, &event, attempt).await,
            };
            let left = match attempted {
                Attempted::Ended(Ok(())) => Vec::new(),
                Attempted::Ended(Err(failure)) => {
                    let part = event.record.part.as_ref();
                    match remainders(failure, part, attempt, self.schedule.as_ref()) {
                        Ok(left) => left,
                        Err(fatal) => return Ended::Fatal(fatal),
                    }
                }
                Attempted::Lost => return Ended::Left(Error::LeaseLost),
                Attempted::Abandoned => return Ended::Enough,
            };
            match self.record(lane, &event, &left).await {
                Ok(Rest::Released) => return Ended::Released,
                Ok(Rest::More) if self.stop.is_cancelled() || started.elapsed() >= self.turn => {
                    return Ended::Enough;
                }
                Ok(Rest::More) => {}
                Err(error) => return Ended::Left(error),
            }
        }
    }

    /// What kills its worker is never seen to fail. So whoever comes after it has to say that it was too often.
    fn lost(&self, event: &ParkedEvent) -> Option<Failure> {
        let last = Attempt {
            number: NonZeroU32::new(event.attempts.saturating_add(event.abandoned))?,
            first_failed_at: event.first_failed_at,
        };
        let code = ErrorCode::from_static("worker-lost");
        let too_often = event.abandoned > 0 && self.schedule.delay(last, &code, None).is_none();
        let message = format!(
            "{} workers in a row did not come back from it",
            event.abandoned
        );
        too_often.then(|| Failure::poison(HandlerError::new(code, message)))
    }

    async fn attempt<S: LaneStore>(
        &self,
        lane: &mut ClaimedLane<S>,
        event: &ParkedEvent,
        attempt: Attempt,
    ) -> Attempted {
        let handling = caught(async { self.handler.handle(&event.record, attempt).await });
        tokio::select! {
            biased;
            ended = handling => Attempted::Ended(match ended {
                Ok(result) => result,
                Err(message) => {
                    let code = ErrorCode::from_static("handler-panicked");
                    Err(Failure::transient(HandlerError::new(code, format!("the handler panicked: {message}"))))
                }
            }),
            () = keep(lane) => Attempted::Lost,
            () = self.abandon.cancelled() => Attempted::Abandoned,
        }
    }

    /// Writes what came of an attempt, again and again while the lease lasts: it would be repeated otherwise.
    async fn record<S: LaneStore>(
        &self,
        lane: &mut ClaimedLane<S>,
        event: &ParkedEvent,
        left: &[Remainder],
    ) -> Result<Rest, Error> {
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        loop {
            let result = if left.is_empty() {
                lane.succeeded(event.id).await
            } else {
                lane.failed(event.id, left, self.dead_head).await
            };
            match result {
                Err(error) if error.disposition() == Disposition::Transient => {
                    let pause = backoff.next_delay(1.0);
                    if Instant::now() + pause >= lane.until() {
                        return Err(error);
                    }
                    sleep(pause).await;
                }
                Ok(rest) => {
                    self.tell(event, left);
                    return Ok(rest);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn tell(&self, event: &ParkedEvent, left: &[Remainder]) {
        if left.is_empty() {
            self.count(metric::OUTCOME_SUCCEEDED);
        }
        for remainder in left {
            let outcome = match remainder.fate {
                Fate::Again(_) => metric::OUTCOME_RETRY,
                Fate::Dead => metric::OUTCOME_DEAD,
            };
            self.count(outcome);
            if remainder.fate == Fate::Dead {
                error!(
                    group = self.group, record = %event.record.origin, event = %event.id,
                    code = remainder.error.code(), error = remainder.error.message(), policy = ?self.dead_head,
                    "a record in ordered mode is given up"
                );
            }
        }
    }

    fn count(&self, outcome: &'static str) {
        let group = self.group.clone();
        counter!(metric::ATTEMPTS, metric::GROUP => group, metric::OUTCOME => outcome).increment(1);
    }

    async fn release<S: LaneStore>(&self, lane: ClaimedLane<S>) {
        if let Err(error) = lane.release().await {
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
