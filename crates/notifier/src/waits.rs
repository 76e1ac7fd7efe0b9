//! Whether somebody waits for a delivery to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Somebody waits, and may go away.
const WAITS: u8 = 0;
/// Somebody waits, and was promised to hear how it ends.
const PROMISED: u8 = 1;
/// Nobody waits any more.
const GONE: u8 = 2;

/// Held by who waits. Dropping it is to wait no longer.
#[derive(Debug, Default)]
pub(crate) struct Waits(Arc<AtomicU8>);

/// What a delivery knows of who waits for it.
#[derive(Debug)]
pub(crate) struct WaitedFor(Arc<AtomicU8>);

impl Waits {
    /// For the delivery.
    pub(crate) fn watched(&self) -> WaitedFor {
        WaitedFor(Arc::clone(&self.0))
    }

    /// Waits no longer, if that was not promised: then how it ends is about to be told.
    pub(crate) fn may_go(&self) -> bool {
        let gone = self
            .0
            .compare_exchange(WAITS, GONE, Ordering::AcqRel, Ordering::Acquire);
        gone.is_ok()
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(GONE, Ordering::Release);
    }
}

impl WaitedFor {
    /// Whether somebody waits still, who will hear what became of it: it is promised from then on.
    pub(crate) fn still(&self) -> bool {
        let promised =
            self.0
                .compare_exchange(WAITS, PROMISED, Ordering::AcqRel, Ordering::Acquire);
        promised.map_or_else(|now| now == PROMISED, |_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_promised_to_hear_of_it_stays_and_who_went_is_not_promised_anything() {
        let waits = Waits::default();
        let waited_for = waits.watched();
        assert!(waited_for.still() && waited_for.still());
        assert!(!waits.may_go());
        drop(waits);
        assert!(!waited_for.still());

        let waits = Waits::default();
        let waited_for = waits.watched();
        assert!(waits.may_go());
        assert!(!waited_for.still());
    }
}
