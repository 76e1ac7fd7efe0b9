//! The tasks that drive connections.

use std::future::Future;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Owns the tasks of a client: they end when it is dropped, or when it is closed.
#[derive(Debug, Clone)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// With the guard that ends them when it is dropped.
    pub(super) fn new() -> (Self, DropGuard) {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        (
            Self {
                tracker: TaskTracker::new(),
                stop,
            },
            guard,
        )
    }

    pub(super) fn spawn<F>(&self, future: F)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker
            .spawn(self.stop.clone().run_until_cancelled_owned(future));
    }

    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// HTTP/2 has tasks of its own.
impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}
