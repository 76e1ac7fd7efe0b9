//! The worker's side: a lane that is being run.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::remainder::Remainder;
use crate::store::{LaneEventId, LaneStore, Lease, Next, ParkedEvent, Rest};
use cdc_event::DeadHead;

/// A lane that nobody else runs, as long as its lease lasts.
///
/// Events come one at a time: [`next`](Self::next), then [`succeeded`](Self::succeeded) or [`failed`](Self::failed),
/// and again while these say [`Rest::More`]. Dropping it leaves the lane to the next worker when the lease is over.
#[derive(Debug)]
pub struct ClaimedLane<S> {
    store: Arc<S>,
    lease: Lease,
    term: Duration,
    until: Instant,
}

/// Takes up to `limit` lanes of a group that are due, for `lease`, the longest due first.
///
/// Not cancel safe: lanes that a dropped call took are left alone until their lease is over.
///
/// # Errors
///
/// As of the store.
pub async fn claim_due<S: LaneStore>(
    store: &Arc<S>,
    group: &str,
    limit: usize,
    lease: Duration,
) -> Result<Vec<ClaimedLane<S>>, Error> {
    // Before the call: the store's clock starts no earlier.
    let until = Instant::now() + lease;
    let leases = store.claim(group, limit, lease).await?;
    let claimed = |found| ClaimedLane {
        store: Arc::clone(store),
        lease: found,
        term: lease,
        until,
    };
    Ok(leases.into_iter().map(claimed).collect())
}

impl<S: LaneStore> ClaimedLane<S> {
    /// The event whose turn it is. `None` if it is not due, or was given up and the others wait for an operator: the lane
    /// is let go.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`]; otherwise as of the store.
    pub async fn next(&mut self) -> Result<Option<ParkedEvent>, Error> {
        match self.store.head(&self.lease).await? {
            Next::Event(event) => Ok(Some(*event)),
            Next::Later(wait) => {
                self.store.release(&self.lease, Some(wait)).await?;
                Ok(None)
            }
            Next::Held => {
                self.store.release(&self.lease, None).await?;
                Ok(None)
            }
        }
    }

    /// Takes the head out: it is dealt with.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`]: another worker may do it again. Otherwise as of the store.
    pub async fn succeeded(&mut self, head: LaneEventId) -> Result<Rest, Error> {
        let until = Instant::now() + self.term;
        let rest = self.store.succeeded(&self.lease, head, self.term).await?;
        self.until = until;
        Ok(rest)
    }

    /// Puts what is left of the head in its place; nothing left is a success. With anything to be tried again the lane
    /// is let go until the first of it is due, and what is behind waits.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// As of [`succeeded`](Self::succeeded).
    pub async fn failed(
        &mut self,
        head: LaneEventId,
        remainders: &[Remainder],
        policy: DeadHead,
    ) -> Result<Rest, Error> {
        let until = Instant::now() + self.term;
        let rest = self
            .store
            .failed(&self.lease, head, remainders, policy, self.term)
            .await?;
        self.until = until;
        Ok(rest)
    }

    /// The lease begins anew.
    ///
    /// Cancellation safe: a dropped call may have done it; then the lease ends later than is known here.
    ///
    /// # Errors
    ///
    /// As of [`next`](Self::next).
    pub async fn renew(&mut self) -> Result<(), Error> {
        let until = Instant::now() + self.term;
        self.store.renew(&self.lease, self.term).await?;
        self.until = until;
        Ok(())
    }

    /// Lets the lane go: it is due at once.
    ///
    /// # Errors
    ///
    /// As of [`next`](Self::next).
    pub async fn release(self) -> Result<(), Error> {
        self.release_for(Duration::ZERO).await
    }

    /// Lets the lane go: it is due after `pause`.
    ///
    /// # Errors
    ///
    /// As of [`next`](Self::next).
    pub async fn release_for(self, pause: Duration) -> Result<(), Error> {
        self.store.release(&self.lease, Some(pause)).await
    }

    /// Until when nobody else can have the lane. After that nothing may be done for it any more.
    #[must_use]
    pub const fn until(&self) -> Instant {
        self.until
    }

    /// How long a lease lasts.
    #[must_use]
    pub const fn term(&self) -> Duration {
        self.term
    }
}
