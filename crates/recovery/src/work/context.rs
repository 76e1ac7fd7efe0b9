//! What records of a partition have in common.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::breaker::Breaker;
use crate::last_resort::LastResort;
use crate::names::Names;
use crate::plan::{RetryPlan, Tier};
use crate::progress::Progress;
use crate::publisher::Publisher;
use crate::topology::{Route, Topology};

/// What all records of a runner have in common.
pub(crate) struct Shared<H> {
    pub(crate) handler: H,
    pub(crate) names: Names,
    pub(crate) plan: RetryPlan,
    /// One for each attempt at the same time.
    pub(crate) permits: Semaphore,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) publisher: Publisher,
    pub(crate) topology: Topology,
    pub(crate) last_resort: Option<Arc<dyn LastResort>>,
    pub(crate) progress: Arc<Progress>,
}

/// What all records of a partition have in common.
pub(crate) struct Context<H> {
    pub(crate) shared: Arc<Shared<H>>,
    pub(crate) route: Arc<Route>,
    /// The retry topic; `None` is the source.
    pub(crate) tier: Option<Tier>,
    pub(crate) partition: i32,
    /// No new attempts; what is under way may end.
    pub(crate) stop: CancellationToken,
}

/// A clock that jumps is looked at again after this.
const LONGEST_NAP: Duration = Duration::from_secs(60);

impl<H> Context<H> {
    /// Waits; false when it was told to stop meanwhile. Cancel safe.
    pub(crate) async fn pause(&self, duration: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = sleep(duration) => true,
        }
    }

    /// Waits until the clock shows this time; false when it was told to stop meanwhile. Cancel safe.
    pub(crate) async fn pause_until(&self, time: SystemTime) -> bool {
        while let Ok(left) = time.duration_since(SystemTime::now()) {
            if left.is_zero() {
                break;
            }
            if !self.pause(left.min(LONGEST_NAP)).await {
                return false;
            }
        }
        true
    }
}
