//! What may be confirmed to the server, and nothing else.
//!
//! The only way to move the confirmed position is a [`CommitToken`], and only this module makes tokens. So a
//! position that nobody acknowledged cannot be confirmed, by construction.

use std::sync::atomic::{AtomicU64, Ordering};

use pg_lsn::Lsn;

/// Proof that the stream handed out one transaction whole. Giving it back by
/// [`ReplicationStream::acknowledge`](crate::ReplicationStream::acknowledge) says: this transaction and all
/// before it are durable elsewhere.
///
/// It can't be copied or made by hand. A token that is dropped is never confirmed, and neither is anything
/// after it until a later token is acknowledged.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a token that is dropped keeps the slot from moving"]
pub struct CommitToken {
    stream: StreamId,
    order: u64,
    lsn: Lsn,
}

impl CommitToken {
    /// The position right after the transaction: what the slot will be moved to.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }
}

/// Tells the tokens of one stream from those of the stream before a reconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StreamId(u64);

impl StreamId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The positions of one stream: received, handed out, acknowledged.
#[derive(Debug)]
pub(crate) struct Progress {
    stream: StreamId,
    /// Tokens handed out so far; the order of the newest one.
    issued: u64,
    /// The order of the newest acknowledged token.
    acknowledged: u64,
    in_transaction: bool,
    received: Lsn,
    confirmed: Lsn,
    /// A keepalive's position, and how many tokens had been handed out when it came: the server had sent
    /// everything before it, so it may be confirmed once all those tokens are acknowledged.
    idle: Option<(u64, Lsn)>,
}

impl Progress {
    pub(crate) fn new(start: Lsn) -> Self {
        Self {
            stream: StreamId::next(),
            issued: 0,
            acknowledged: 0,
            in_transaction: false,
            received: start,
            confirmed: start,
            idle: None,
        }
    }

    pub(crate) fn begin(&mut self) {
        self.in_transaction = true;
    }

    /// A transaction that ends at `lsn` (the first byte after its commit record) was handed out.
    pub(crate) fn commit(&mut self, lsn: Lsn) -> CommitToken {
        self.in_transaction = false;
        self.received = self.received.max(lsn);
        self.issued += 1;
        CommitToken {
            stream: self.stream,
            order: self.issued,
            lsn,
        }
    }

    /// The server says that it has sent everything before `end`.
    pub(crate) fn keepalive(&mut self, end: Lsn) {
        self.received = self.received.max(end);
        if self.in_transaction {
            return;
        }
        if self.acknowledged == self.issued {
            self.confirm(end);
        } else {
            self.idle = Some((self.issued, end));
        }
    }

    /// False when the token belongs to another stream; it then changes nothing.
    pub(crate) fn acknowledge(&mut self, token: &CommitToken) -> bool {
        if token.stream != self.stream {
            return false;
        }
        self.acknowledged = self.acknowledged.max(token.order);
        self.confirm(token.lsn);
        if let Some((_, end)) = self.idle.take_if(|(order, _)| *order <= self.acknowledged) {
            self.confirm(end);
        }
        true
    }

    fn confirm(&mut self, lsn: Lsn) {
        self.confirmed = self.confirmed.max(lsn);
    }

    /// Newest position that the server has sent us.
    pub(crate) fn received(&self) -> Lsn {
        self.received
    }

    /// Newest position that may be told to the server as flushed.
    pub(crate) fn confirmed(&self) -> Lsn {
        self.confirmed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lsn(position: u64) -> Lsn {
        Lsn::new(position)
    }

    #[test]
    fn a_keepalive_moves_an_idle_stream() {
        let mut progress = Progress::new(lsn(10));
        progress.keepalive(lsn(50));
        assert_eq!(progress.confirmed(), lsn(50));
    }

    #[test]
    fn a_keepalive_waits_for_what_is_in_flight() {
        let mut progress = Progress::new(Lsn::ZERO);
        progress.begin();
        progress.keepalive(lsn(15));
        let token = progress.commit(lsn(20));
        progress.keepalive(lsn(50));
        assert_eq!(progress.confirmed(), Lsn::ZERO);
        assert_eq!(progress.received(), lsn(50));
        assert!(progress.acknowledge(&token));
        assert_eq!(progress.confirmed(), lsn(50));
    }

    #[test]
    fn a_keepalive_inside_a_transaction_confirms_nothing() {
        let mut progress = Progress::new(lsn(5));
        progress.begin();
        progress.keepalive(lsn(50));
        assert_eq!(progress.confirmed(), lsn(5));
        let _dropped = progress.commit(lsn(60));
        progress.keepalive(lsn(70));
        assert_eq!(progress.confirmed(), lsn(5));
    }

    #[test]
    fn a_keepalive_older_than_a_newer_transaction_confirms_only_itself() {
        let mut progress = Progress::new(Lsn::ZERO);
        let first = progress.commit(lsn(20));
        progress.keepalive(lsn(50));
        let _second = progress.commit(lsn(90));
        assert!(progress.acknowledge(&first));
        assert_eq!(progress.confirmed(), lsn(50));
    }

    #[test]
    fn a_token_of_another_stream_is_refused() {
        let mut before = Progress::new(Lsn::ZERO);
        let stale = before.commit(lsn(99));
        let mut after = Progress::new(lsn(10));
        assert!(!after.acknowledge(&stale));
        assert_eq!(after.confirmed(), lsn(10));
    }

    proptest! {
        /// Whatever happens, nothing past the first transaction without acknowledgement is confirmed, and the
        /// confirmed position never goes back.
        #[test]
        fn confirms_only_what_was_acknowledged(steps in prop::collection::vec(0_u8..4, 1..200)) {
            let mut progress = Progress::new(Lsn::ZERO);
            let mut position = 0;
            let mut open = false;
            let mut waiting = std::collections::VecDeque::new();
            let mut before = Lsn::ZERO;
            for step in steps {
                position += 10;
                match step {
                    0 if !open => { progress.begin(); open = true; }
                    1 if open => { waiting.push_back(progress.commit(lsn(position))); open = false; }
                    2 => progress.keepalive(lsn(position)),
                    3 => if let Some(token) = waiting.pop_front() {
                        prop_assert!(progress.acknowledge(&token));
                    },
                    _ => {}
                }
                if let Some(first) = waiting.front() {
                    prop_assert!(progress.confirmed() < first.lsn());
                }
                prop_assert!(progress.confirmed() >= before);
                before = progress.confirmed();
            }
        }
    }
}
