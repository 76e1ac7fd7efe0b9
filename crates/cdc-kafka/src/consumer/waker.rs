//! Wakes the poll thread.

use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};

/// Wakes the poll thread; shared by all who have something for it.
#[derive(Clone, Default)]
pub(super) struct Waker(Arc<OnceLock<Thread>>);

impl Waker {
    /// Makes this thread the one that is woken. The first to call it is.
    pub(super) fn wakes_this_thread(&self) {
        self.0.get_or_init(thread::current);
    }

    /// Whether this is the thread that is woken.
    pub(super) fn is_this_thread(&self) -> bool {
        self.0
            .get()
            .is_some_and(|thread| thread.id() == thread::current().id())
    }

    /// Wakes it, or keeps it from falling asleep the next time.
    pub(super) fn wake(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}
