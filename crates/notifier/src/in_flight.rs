//! What this process is sending.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::delivery::DeliveryKey;

/// The deliveries that this process holds: none is begun twice.
///
/// So a claim of this process that is not among them was never sent, and may be taken again at once.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashMap<DeliveryKey, Unavailable>>);

/// Why this process cannot begin a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// It has begun already, and has not ended.
    Underway,
    /// It may have been sent, and what came of it will never be known here.
    Lost,
}

/// A delivery that this process holds until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    all: Arc<InFlight>,
    key: DeliveryKey,
    /// It may have been sent, and that is not written down.
    in_doubt: bool,
}

impl InFlight {
    /// Takes hold of a delivery, unless this process holds it already.
    pub(crate) fn hold(self: &Arc<Self>, key: DeliveryKey) -> Result<Held, Unavailable> {
        match self.keys().entry(key.clone()) {
            Entry::Occupied(entry) => Err(*entry.get()),
            Entry::Vacant(entry) => {
                entry.insert(Unavailable::Underway);
                Ok(Held {
                    all: Arc::clone(self),
                    key,
                    in_doubt: false,
                })
            }
        }
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<DeliveryKey, Unavailable>> {
        // A map is whole after every call to it.
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
        let mut keys = self.all.keys();
        if !self.in_doubt {
            keys.remove(&self.key);
        } else if let Some(why) = keys.get_mut(&self.key) {
            *why = Unavailable::Lost;
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
        assert_eq!(all.hold(key("1")).unwrap_err(), Unavailable::Underway);
        assert!(all.hold(key("2")).is_ok());
        drop(held);
        assert!(all.hold(key("1")).is_ok());
    }

    #[test]
    fn one_that_was_sent_and_not_settled_is_not_begun_again() {
        let all = Arc::new(InFlight::default());
        let mut lost = all.hold(key("1")).unwrap();
        lost.sending();
        drop(lost);
        assert_eq!(all.hold(key("1")).unwrap_err(), Unavailable::Lost);
        let mut settled = all.hold(key("2")).unwrap();
        settled.sending();
        settled.settled();
        drop(settled);
        assert!(all.hold(key("2")).is_ok());
    }
}
