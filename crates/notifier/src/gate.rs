//! What one endpoint can bear, and what it has shown lately.
//!
//! Everything here is in memory: after a restart an endpoint is met as a stranger, one request at a time. That one was
//! closed is written down elsewhere, and given back with [`Closing`].

mod bucket;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cdc_event::RetryPolicy;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::bucket::Bucket;
use crate::endpoint::Limits;
use cdc_event::random_fraction;

/// When an endpoint is closed, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Breaker {
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) pause: RetryPolicy,
}

/// An endpoint that failed too often in a row: nothing is sent to it for a while, and then one request at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// What is left of the while.
    pub(crate) left: Duration,
}

/// What a request changed for its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was closed.
    Closed,
    /// It was closed before, and is for longer.
    StillClosed,
    /// It was closed, and is no longer.
    Opened,
}

/// Lets requests to one endpoint through: not too many at once, not too often, and hardly any while it fails.
#[derive(Debug)]
pub(crate) struct Gate {
    breaker: Breaker,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    bucket: Bucket,
    /// Requests that may be in flight: one for a stranger, doubled by each success, halved by each failure.
    window: u32,
    in_flight: u32,
    /// Those of them that are overdue.
    stalled: u32,
    /// The last that was heard of it was an answer.
    trusted: bool,
    failures: u32,
    closed_until: Option<Instant>,
}

/// A request that was let through. Dropping it without a word makes room and changes nothing else.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    stalled: bool,
    pub(crate) trusted: bool,
}

/// Why a request was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It failed too often, or asked for a pause.
    Closed { retry_after: Duration },
    /// As many requests as it can bear are in flight.
    Busy { retry_after: Duration },
    /// Its rate is used up.
    RateLimited { retry_after: Duration },
}

/// What a request has shown of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It works.
    Good,
    /// It answers, but does not like this request.
    Answers,
    /// It fails. `pause` is what it asked for.
    Bad {
        answered: bool,
        pause: Option<Duration>,
    },
}

enum Verdict {
    Enter {
        trusted: bool,
    },
    Refuse(Refusal),
    /// To be asked again then, or when there is room.
    Wait(Instant),
}

impl Gate {
    /// `closing` is how the endpoint was left before.
    pub(crate) fn new(limits: Limits, breaker: Breaker, closing: Option<Closing>) -> Self {
        let state = State {
            limits,
            bucket: Bucket::new(limits.rate_per_second, Instant::now()),
            window: 1,
            in_flight: 0,
            stalled: 0,
            trusted: false,
            failures: closing.map_or(0, |closing| closing.failures),
            closed_until: closing.map(|closing| Instant::now() + closing.left),
        };
        Self {
            breaker,
            state: Mutex::new(state),
            freed: Notify::new(),
        }
    }

    /// The limits were changed.
    pub(crate) fn set_limits(&self, limits: Limits) {
        let mut state = self.state();
        if state.limits != limits {
            state.bucket = Bucket::new(limits.rate_per_second, Instant::now());
            state.window = state.window.min(limits.max_concurrency.get());
            state.limits = limits;
        }
    }

    /// How it is closed, if it is.
    pub(crate) fn closing(&self) -> Option<Closing> {
        let state = self.state();
        let closed = state.failures >= self.breaker.failures;
        closed.then(|| Closing {
            failures: state.failures,
            left: state
                .closed_until
                .map(|until| until.saturating_duration_since(Instant::now()))
                .unwrap_or_default(),
        })
    }

    /// Waits for up to `patience` to be let through.
    ///
    /// Cancellation safe.
    pub(crate) async fn enter(self: &Arc<Self>, patience: Duration) -> Result<Pass, Refusal> {
        let deadline = Instant::now() + patience;
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            match self.judge(Instant::now(), deadline) {
                Verdict::Enter { trusted } => {
                    return Ok(Pass {
                        gate: Arc::clone(self),
                        stalled: false,
                        trusted,
                    });
                }
                Verdict::Refuse(refusal) => return Err(refusal),
                Verdict::Wait(until) => tokio::select! {
                    () = freed => {}
                    () = sleep_until(until) => {}
                },
            }
        }
    }

    fn judge(&self, now: Instant, deadline: Instant) -> Verdict {
        let mut state = self.state();
        if let Some(until) = state.closed_until.filter(|until| *until > now) {
            return Verdict::Refuse(Refusal::Closed {
                retry_after: until - now,
            });
        }
        let probing = state.failures >= self.breaker.failures;
        if state.in_flight >= if probing { 1 } else { state.window } {
            let retry_after = self.breaker.pause.bound(0);
            return if probing {
                Verdict::Refuse(Refusal::Closed { retry_after })
            } else if state.stalled > 0 || now >= deadline {
                // Waiting for what is overdue would only make others wait too.
                Verdict::Refuse(Refusal::Busy { retry_after })
            } else {
                Verdict::Wait(deadline)
            };
        }
        if let Err(wait) = state.bucket.take(now) {
            return if now + wait > deadline {
                Verdict::Refuse(Refusal::RateLimited { retry_after: wait })
            } else {
                Verdict::Wait(now + wait)
            };
        }
        state.in_flight += 1;
        Verdict::Enter {
            trusted: state.trusted,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; and figures that are a little off harm nobody.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The answer is overdue: others need not wait for it.
    pub(crate) fn stall(&mut self) {
        if !self.stalled {
            self.stalled = true;
            let mut state = self.gate.state();
            state.stalled += 1;
            state.trusted = false;
        }
    }

    /// Ends the request with what it has shown.
    pub(crate) fn end(self, sign: Sign) -> Option<Change> {
        let breaker = self.gate.breaker;
        let mut state = self.gate.state();
        let was_closed = state.failures >= breaker.failures;
        match sign {
            Sign::Good => {
                state.failures = 0;
                state.trusted = true;
                state.closed_until = None;
                state.window = state
                    .window
                    .saturating_mul(2)
                    .min(state.limits.max_concurrency.get());
            }
            Sign::Answers => {
                state.failures = 0;
                state.trusted = true;
            }
            Sign::Bad { answered, pause } => {
                state.failures = state.failures.saturating_add(1);
                state.trusted = answered;
                state.window = (state.window / 2).max(1);
                let broken = state.failures.checked_sub(breaker.failures);
                let own = broken.map(|times| breaker.pause.delay(times, random_fraction()));
                if let Some(pause) = own.max(pause) {
                    let until = Instant::now() + pause;
                    state.closed_until =
                        Some(state.closed_until.map_or(until, |before| before.max(until)));
                }
            }
        }
        let is_closed = state.failures >= breaker.failures;
        drop(state);
        match (was_closed, is_closed) {
            (false, false) => None,
            (false, true) => Some(Change::Closed),
            (true, true) => matches!(sign, Sign::Bad { .. }).then_some(Change::StillClosed),
            (true, false) => Some(Change::Opened),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.in_flight -= 1;
        state.stalled -= u32::from(self.stalled);
        drop(state);
        // All of them: a success made room for more than one.
        self.gate.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
