//! What is told while something else is waited for without limit.

use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// What has been said once is said again after this long.
const AGAIN: Duration = Duration::from_secs(30);

/// Says why something is waited for: at once, and then every so often.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    last: Option<Instant>,
}

impl Complaints {
    /// Another try has failed.
    pub(crate) fn about(&mut self, waiting_for: &'static str, failure: &Failure) {
        if self.last.is_some_and(|last| last.elapsed() < AGAIN) {
            return;
        }
        self.last = Some(Instant::now());
        tracing::warn!(
            code = %failure.code(),
            error = failure.one_line(),
            help = failure.remedy(),
            "waiting for {waiting_for}"
        );
    }

    /// Whether there were any.
    pub(crate) fn were_made(&self) -> bool {
        self.last.is_some()
    }
}
