//! Connections that wait for the next request.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::exchange::Link;

/// Idle connections, by origin. Bounded over all origins together: when there are too many, the one that has waited
/// longest is closed.
#[derive(Debug)]
pub(super) struct Pool {
    max_idle: usize,
    idle_timeout: Duration,
    shelves: Mutex<Shelves>,
}

/// Tickets rise, so the order of tickets is that of age.
#[derive(Debug, Default)]
struct Shelves {
    next: u64,
    by_age: BTreeMap<u64, Idle>,
    by_origin: HashMap<Arc<str>, Vec<u64>>,
}

#[derive(Debug)]
struct Idle {
    origin: Arc<str>,
    link: Link,
    since: Instant,
}

impl Pool {
    pub(super) fn new(max_idle: usize, idle_timeout: Duration) -> Self {
        Self {
            max_idle,
            idle_timeout,
            shelves: Mutex::default(),
        }
    }

    /// The connection of the origin that was used last, if it is still good and leads to one of these addresses. A
    /// shared one (HTTP/2) stays in the pool.
    pub(super) fn take(&self, origin: &Arc<str>, addresses: &[SocketAddr]) -> Option<Link> {
        let now = Instant::now();
        let mut shelves = self.lock();
        loop {
            let ticket = *shelves.by_origin.get(origin)?.last()?;
            let idle = shelves.remove(ticket)?;
            let fresh = now.duration_since(idle.since) < self.idle_timeout;
            // DNS may have moved the host, or sent it where nothing may go.
            if fresh && !idle.link.is_closed() && addresses.contains(&idle.link.peer()) {
                if let Some(shared) = idle.link.share() {
                    shelves.insert(origin, shared, now);
                }
                return Some(idle.link);
            }
        }
    }

    pub(super) fn put(&self, origin: &Arc<str>, link: Link) {
        if self.max_idle == 0 || link.is_closed() {
            return;
        }
        let mut shelves = self.lock();
        if link.is_shared() && shelves.has_shared(origin) {
            return;
        }
        if shelves.by_age.len() >= self.max_idle {
            shelves.remove_oldest();
        }
        shelves.insert(origin, link, Instant::now());
    }

    /// Forgets the shared connections of an origin: new requests get a new one.
    pub(super) fn forget_shared(&self, origin: &Arc<str>) {
        let mut shelves = self.lock();
        let tickets = shelves.by_origin.get(origin).cloned().unwrap_or_default();
        for ticket in tickets {
            if shelves
                .by_age
                .get(&ticket)
                .is_some_and(|idle| idle.link.is_shared())
            {
                shelves.remove(ticket);
            }
        }
    }

    /// Closes what has waited for too long, for as long as it is polled.
    pub(super) async fn sweep_for_ever(self: Arc<Self>) {
        let mut tick = interval((self.idle_timeout / 2).max(Duration::from_millis(100)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.sweep();
        }
    }

    fn sweep(&self) {
        let now = Instant::now();
        let mut shelves = self.lock();
        let late = |idle: &Idle| now.duration_since(idle.since) >= self.idle_timeout;
        while shelves
            .by_age
            .first_key_value()
            .is_some_and(|(_, idle)| late(idle))
        {
            shelves.remove_oldest();
        }
        let closed: Vec<_> = shelves
            .by_age
            .iter()
            .filter(|(_, idle)| idle.link.is_closed())
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in closed {
            shelves.remove(ticket);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn insert(&mut self, origin: &Arc<str>, link: Link, since: Instant) {
        let ticket = self.next;
        self.next += 1;
        self.by_age.insert(
            ticket,
            Idle {
                origin: Arc::clone(origin),
                link,
                since,
            },
        );
        self.by_origin
            .entry(Arc::clone(origin))
            .or_default()
            .push(ticket);
    }

    fn remove(&mut self, ticket: u64) -> Option<Idle> {
        let idle = self.by_age.remove(&ticket)?;
        if let Some(tickets) = self.by_origin.get_mut(&idle.origin) {
            tickets.retain(|other| *other != ticket);
            if tickets.is_empty() {
                self.by_origin.remove(&idle.origin);
            }
        }
        Some(idle)
    }

    fn remove_oldest(&mut self) {
        if let Some((ticket, _)) = self.by_age.first_key_value() {
            let ticket = *ticket;
            self.remove(ticket);
        }
    }

    fn has_shared(&self, origin: &Arc<str>) -> bool {
        let tickets = self
            .by_origin
            .get(origin)
            .map(Vec::as_slice)
            .unwrap_or_default();
        tickets.iter().any(|ticket| {
            self.by_age
                .get(ticket)
                .is_some_and(|idle| idle.link.is_shared() && !idle.link.is_closed())
        })
    }
}
