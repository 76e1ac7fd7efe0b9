//! What this process is sending.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::delivery::DeliveryKey;

/// The deliveries that this process holds: none is begun twice.
///
/// So a claim of this process that is not among them was never sent, and may be taken again at once.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashSet<DeliveryKey>>);

/// A delivery that this process holds until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    all: Arc<InFlight>,
    key: DeliveryKey,
    /// It may have been sent, and that is not written down.
    in_doubt: bool,
}

impl InFlight {
    /// Takes hold of a delivery; `None` if this process holds it already.
    pub(crate) fn hold(self: &Arc<Self>, key: DeliveryKey) -> Option<Held> {
        let new = self.keys().insert(key.clone());
        new.then(|| Held {
            all: Arc::clone(self),
            key,
            in_doubt: false,
        })
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<DeliveryKey>> {
        // A set is whole after every call to it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    pub(crate) const fn key(&self) -> &DeliveryKey {
        &self.key
    }

    /// It is being sent. Who drops it now leaves it to the end of its lease.
    pub(crate) const fn sending(&mut self) {
        self.in_doubt = true;
    }

    /// What became of it is written down.
    pub(crate) const fn settled(&mut self) {
        self.in_doubt = false;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.in_doubt {
            self.all.keys().remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointId;

    fn key(event: &str) -> DeliveryKey {
        DeliveryKey {
            event: event.into(),
            endpoint: EndpointId::new("a").unwrap(),
        }
    }

    #[test]
    fn a_delivery_is_held_once_until_it_is_let_go() {
        let all = Arc::new(InFlight::default());
        let held = all.hold(key("1")).unwrap();
        assert!(all.hold(key("1")).is_none());
        assert!(all.hold(key("2")).is_some());
        drop(held);
        assert!(all.hold(key("1")).is_some());
    }

    #[test]
    fn one_that_was_sent_and_not_settled_is_not_begun_again() {
        let all = Arc::new(InFlight::default());
        let mut lost = all.hold(key("1")).unwrap();
        lost.sending();
        drop(lost);
        assert!(all.hold(key("1")).is_none());
        let mut settled = all.hold(key("2")).unwrap();
        settled.sending();
        settled.settled();
        drop(settled);
        assert!(all.hold(key("2")).is_some());
    }
}
