//! Where alerts go.

use std::future::Future;

use super::Alert;

/// Where alerts go.
pub trait AlertSink: Send + Sync + 'static {
    /// Sends an alert once. May be dropped when it takes too long.
    ///
    /// # Errors
    ///
    /// It is not known to have arrived; the caller tries again.
    fn send(&self, alert: &Alert) -> impl Future<Output = Result<(), AlertError>> + Send;
}

/// Why an alert is not known to have arrived; without secrets, since it is logged.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct AlertError {
    reason: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl AlertError {
    /// What happened.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }
}
