//! What is told while something else is waited for without limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// What has been said once is said again after this long.
const AGAIN: Duration = Duration::from_secs(30);

/// Says why something is waited for: at once, and then every so often. Clones are for those who wait for the same thing in
/// two ways.
#[derive(Debug, Clone, Default)]
pub(crate) struct Complaints {
    last: Arc<Mutex<Option<Instant>>>,
}

impl Complaints {
    /// Another try has failed.
    pub(crate) fn about(&self, waiting_for: &'static str, failure: &Failure) {
        if self.is_soon_again() {
            return;
        }
        tracing::warn!(
            code = %failure.code(),
            error = failure.one_line(),
            help = failure.remedy(),
            "waiting for {waiting_for}"
        );
    }

    /// Whether there were any.
    pub(crate) fn were_made(&self) -> bool {
        self.last().is_some()
    }

    /// Whether there was one a moment ago; if not, there is one now.
    fn is_soon_again(&self) -> bool {
        let mut last = self.last();
        let is_soon = last.is_some_and(|last| last.elapsed() < AGAIN);
        if !is_soon {
            *last = Some(Instant::now());
        }
        is_soon
    }

    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_who_wait_for_the_same_complain_once_and_then_every_so_often() {
        let one = Complaints::default();
        let other = one.clone();
        assert!(!other.were_made());
        assert!(!one.is_soon_again());
        assert!(other.is_soon_again() && other.were_made());
        tokio::time::advance(AGAIN).await;
        assert!(!other.is_soon_again());
        assert!(one.is_soon_again());
    }
}
