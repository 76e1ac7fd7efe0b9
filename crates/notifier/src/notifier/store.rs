//! Waits for the store of endpoints and deliveries while that is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cdc_event::{Backoff, Failure, random_fraction};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::Error;
use crate::metric;

/// Between two tries of a record.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a record is not done.
#[derive(Debug)]
pub(super) enum NotDone {
    Failed(Failure),
    /// The store could not be used; nothing was sent that it does not know of.
    Store(Arc<Error>),
}

/// Whether the store is away, and is waited for.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// For those who read the log.
    away: AtomicBool,
    /// Nobody is to wait any more.
    leaving: CancellationToken,
}

/// How a record waits for the store.
#[derive(Debug)]
pub(super) struct Waits<'a> {
    store: &'a Store,
    pauses: Backoff,
}

impl Store {
    /// For one record.
    pub(super) fn waits(&self) -> Waits<'_> {
        Waits {
            store: self,
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }

    /// From now on nobody waits.
    pub(super) fn stop_waiting(&self) {
        self.leaving.cancel();
    }

    fn answers(&self) {
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            info!("the store of deliveries is back");
        }
    }
}

impl Waits<'_> {
    /// What the record's turn came to; or `None`, after a pause, if the store was away. A record that failed in place of
    /// waiting would use up its attempts: one outage is long enough for all of them. Once nobody is to wait any more it is
    /// put off, which uses up none either.
    ///
    /// Cancellation safe.
    pub(super) async fn unless_away(
        &mut self,
        turn: Result<(), NotDone>,
    ) -> Option<Result<(), Failure>> {
        let error = match turn {
            Err(NotDone::Store(error)) if error.is_away() => error,
            Err(NotDone::Store(error)) => return Some(Err(error.into_failure())),
            // It may never have come to the store.
            Err(NotDone::Failed(failure)) => return Some(Err(failure)),
            Ok(()) => {
                self.store.answers();
                return Some(Ok(()));
            }
        };
        metrics::counter!(metric::STORE_ERRORS).increment(1);
        if !self.store.away.swap(true, Ordering::Relaxed) {
            warn!(
                error = &error as &dyn std::error::Error,
                "nothing is sent while the store of deliveries is away; records wait for it"
            );
        }
        let pause = sleep(self.pauses.next_delay(random_fraction()));
        match self.store.leaving.run_until_cancelled(pause).await {
            Some(()) => None,
            None => Some(Err(error.into_wait(LONGEST_PAUSE))),
        }
    }
}
