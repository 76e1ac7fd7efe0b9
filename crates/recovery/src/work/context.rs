//! What records of a partition have in common.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use cdc_event::{KeyOrder, PartitionOrder};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::breaker::Breaker;
use crate::last_resort::LastResort;
use crate::names::Names;
use crate::ordering::Ordering;
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
    pub(crate) ordering: Ordering,
    /// It was said that records can't be put where they wait.
    pub(crate) order_in_trouble: AtomicBool,
}

/// What all records of a partition have in common.
pub(crate) struct Context<H> {
    pub(crate) shared: Arc<Shared<H>>,
    pub(crate) route: Arc<Route>,
    /// The retry topic; `None` is the source.
    pub(crate) tier: Option<Tier>,
    pub(crate) partition: i32,
    pub(crate) order: Order,
    /// No new attempts; what is under way may end.
    pub(crate) stop: CancellationToken,
}

/// What order means for records of a context.
pub(crate) enum Order {
    /// None waits for another that failed: that one goes to a retry topic.
    Loose,
    /// They come from a source, and wait for those of their key that failed.
    Key(Arc<dyn PartitionOrder>),
    /// They were given up and come back; those that others wait for go back to where they waited.
    Replays(Arc<dyn KeyOrder>),
    /// Others wait for them, and go on to wait if they fail.
    Head,
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
