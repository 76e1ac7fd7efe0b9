//! What an owner has in its hands, whichever client is at work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::context::Client;
use super::waker::Waker;

/// Shared by the owner and the poll thread.
#[derive(Default)]
pub(super) struct Control {
    closing: AtomicBool,
    /// Gone between two clients.
    client: Mutex<Weak<Client>>,
    pub(super) waker: Waker,
}

impl Control {
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.lock().upgrade()
    }

    pub(super) fn works_with(&self, client: &Arc<Client>) {
        *self.lock() = Arc::downgrade(client);
    }

    fn lock(&self) -> MutexGuard<'_, Weak<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
