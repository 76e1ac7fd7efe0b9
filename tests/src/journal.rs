//! Where writer and consumer meet: the ledger and the stopwatch of a run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::delivery::Delivery;
use crate::event::{Event, Fate, Foreign, RunId};
use crate::ledger::{Counts, Ledger, Received, Verdict};
use crate::stopwatch::{Latency, Phase, Stopwatch};
use crate::wait::{Look, until};

/// What was promised and seen in one run. Clones share it.
#[derive(Debug, Clone)]
pub struct Journal {
    run: RunId,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    ledger: Ledger,
    stopwatch: Stopwatch,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            run: RunId::fresh(),
            state: Arc::default(),
        }
    }
}

impl Journal {
    /// Tells the events of this run from others.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The transaction with `events` has ended at `at`; each by its fate.
    pub fn promise(&self, events: &[Event], at: Instant, phase: Phase) {
        let mut state = self.state();
        let State { ledger, stopwatch } = &mut *state;
        for &event in events {
            ledger.promise(event);
            if event.fate == Fate::RolledBack {
                continue;
            }
            if ledger.has_seen(event) {
                stopwatch.overtaken(at, phase);
            } else {
                stopwatch.committed(event, at, phase);
            }
        }
    }

    /// The consumer read this record.
    pub fn receive(&self, record: Result<Event, Foreign>, partition: i32) {
        let now = Instant::now();
        let mut state = self.state();
        match record {
            Err(foreign) => state.ledger.receive_foreign(foreign),
            Ok(event) => {
                if state.ledger.receive(event, partition) == Received::First {
                    state.stopwatch.seen(event, now);
                }
            }
        }
    }

    /// The counters, so far.
    pub fn counts(&self) -> Counts {
        self.state().ledger.counts()
    }

    /// Events committed and not received, so far.
    pub fn missing(&self) -> u64 {
        self.state().ledger.missing()
    }

    /// The judgement; see [`Ledger::verdict`].
    pub fn verdict(&self, promise: Delivery) -> Verdict {
        self.state().ledger.verdict(promise)
    }

    /// The latency of calm phases, so far.
    pub fn latency(&self) -> Latency {
        self.state().stopwatch.latency()
    }

    /// Waits until the consumer has every event that is committed at that moment.
    ///
    /// # Errors
    /// Fails after `limit`.
    pub async fn all_received(&self, limit: Duration) -> Result<()> {
        until(limit, "every committed event at the consumer", async || {
            let missing = self.missing();
            Ok(Look::when(
                missing == 0,
                format_args!("{missing} missing, {:?}", self.counts()),
            ))
        })
        .await
    }

    /// Waits until the consumer has an event that was committed after `since`: the way through is open again. The writer
    /// must be writing all the while.
    ///
    /// # Errors
    /// Fails after `limit`.
    pub async fn flows_again(&self, since: Instant, limit: Duration) -> Result<()> {
        until(
            limit,
            "an event that was committed after the fault",
            async || {
                let newest = self.state().stopwatch.newest_arrived();
                Ok(Look::when(
                    newest > Some(since),
                    format_args!("{:?}", self.counts()),
                ))
            },
        )
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
