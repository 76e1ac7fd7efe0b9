//! Something that goes on beside the schedule, and ends with whoever has begun it.

use tokio_util::task::AbortOnDropHandle;

/// A task that does not outlive this.
pub(super) struct Task<T>(AbortOnDropHandle<T>);

impl<T: Send + 'static> Task<T> {
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with this, and its panic is seen"
    )]
    pub(super) fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(AbortOnDropHandle::new(tokio::spawn(future)))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// What came of it.
    pub(super) async fn result(self) -> T {
        self.0.await.unwrap()
    }
}
