//! Whether somebody waits for a delivery to end.

use std::sync::{Arc, Weak};

/// Held by who waits. Dropping it, in whatever way, is to wait no longer.
#[derive(Debug, Default)]
pub(crate) struct Waits(Arc<()>);

/// What a delivery knows of who waits for it.
#[derive(Debug)]
pub(crate) struct WaitedFor(Weak<()>);

impl Waits {
    /// For the delivery.
    pub(crate) fn watched(&self) -> WaitedFor {
        WaitedFor(Arc::downgrade(&self.0))
    }
}

impl WaitedFor {
    /// Whether somebody waits still, who will hear what became of it.
    pub(crate) fn still(&self) -> bool {
        self.0.strong_count() > 0
    }
}
