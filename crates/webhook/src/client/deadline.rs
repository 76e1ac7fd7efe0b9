//! The one deadline of a request.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::{SendError, Stage};

/// When something has to be done, and how long that was from its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn new(start: Instant, limit: Duration) -> Self {
        Self {
            at: start + limit,
            limit,
        }
    }

    /// This one, or the one that is `limit` from now, whichever comes first.
    pub(super) fn within(self, limit: Duration) -> Self {
        let nearer = Self::new(Instant::now(), limit);
        if nearer.at < self.at { nearer } else { self }
    }

    pub(super) fn exceeded(self, stage: Stage) -> SendError {
        SendError::Timeout {
            stage,
            limit: self.limit,
        }
    }

    pub(super) async fn limit<F: Future>(
        self,
        stage: Stage,
        future: F,
    ) -> Result<F::Output, SendError> {
        timeout_at(self.at, future)
            .await
            .map_err(|_| self.exceeded(stage))
    }
}
