//! What may be confirmed to the server, and nothing else.
//!
//! The only way to move the confirmed position is a [`CommitToken`], and only this module makes tokens. So a
//! position that nobody acknowledged cannot be confirmed, by construction; not even that of an idle server.

use std::sync::atomic::{AtomicU64, Ordering};

use pg_lsn::Lsn;

/// Proof that the stream handed out everything before a position: up to the end of a transaction, or as far as
/// an idle server has got. Giving it back by
/// [`ReplicationStream::acknowledge`](crate::ReplicationStream::acknowledge) says: all of it is durable
/// elsewhere.
///
/// It can't be copied or made by hand. A token that is dropped is never confirmed, and neither is anything
/// after it until a later token is acknowledged. The tokens of a stream never go back in position.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a token that is dropped keeps the slot from moving"]
pub struct CommitToken {
    stream: StreamId,
    lsn: Lsn,
}

impl CommitToken {
    /// The first byte that it does not cover: what the slot will be moved to.
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
    /// The position of the newest token.
    issued: Lsn,
    in_transaction: bool,
    received: Lsn,
    confirmed: Lsn,
}

impl Progress {
    pub(crate) fn new(start: Lsn) -> Self {
        Self {
            stream: StreamId::next(),
            issued: start,
            in_transaction: false,
            received: start,
            confirmed: start,
        }
    }

    pub(crate) fn begin(&mut self) {
        self.in_transaction = true;
    }

    /// A transaction that ends at `lsn` (the first byte after its commit record) was handed out.
    pub(crate) fn commit(&mut self, lsn: Lsn) -> CommitToken {
        self.in_transaction = false;
        self.issue(lsn)
    }

    /// The server says that it has sent everything before `end`. A token if that is news, and in any case when
    /// the server waits for an answer; none in a transaction, of which the end is still to come.
    pub(crate) fn keepalive(&mut self, end: Lsn, reply_requested: bool) -> Option<CommitToken> {
        self.received = self.received.max(end);
        let wanted = reply_requested || end > self.issued;
        (wanted && !self.in_transaction).then(|| self.issue(end))
    }

    /// In the middle of sending, the server can name a position before the end of what it sent last: everything
    /// before that end is here all the same.
    fn issue(&mut self, lsn: Lsn) -> CommitToken {
        self.received = self.received.max(lsn);
        self.issued = self.issued.max(lsn);
        CommitToken {
            stream: self.stream,
            lsn: self.issued,
        }
    }

    /// False when the token belongs to another stream; it then changes nothing.
    pub(crate) fn acknowledge(&mut self, token: &CommitToken) -> bool {
        if token.stream != self.stream {
            return false;
        }
        self.confirmed = self.confirmed.max(token.lsn);
        true
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
    fn an_idle_position_is_confirmed_only_by_its_token() {
        let mut progress = Progress::new(lsn(10));
        let token = progress.keepalive(lsn(50), false).unwrap();
        assert_eq!((token.lsn(), progress.received()), (lsn(50), lsn(50)));
        assert_eq!(progress.confirmed(), lsn(10));
        assert!(progress.acknowledge(&token));
        assert_eq!(progress.confirmed(), lsn(50));
    }

    #[test]
    fn a_keepalive_without_news_gives_a_token_only_if_the_server_waits() {
        let mut progress = Progress::new(lsn(10));
        assert_eq!(progress.keepalive(lsn(10), false), None);
        let _commit = progress.commit(lsn(20));
        assert_eq!(progress.keepalive(lsn(20), false), None);
        assert_eq!(progress.keepalive(lsn(20), true).unwrap().lsn(), lsn(20));
        let _idle = progress.keepalive(lsn(30), false).unwrap();
        assert_eq!(progress.keepalive(lsn(30), false), None);
    }

    #[test]
    fn a_keepalive_inside_a_transaction_gives_no_token() {
        let mut progress = Progress::new(lsn(5));
        progress.begin();
        assert_eq!(progress.keepalive(lsn(50), false), None);
        assert_eq!(progress.keepalive(lsn(50), true), None);
        let _commit = progress.commit(lsn(60));
        assert_eq!(progress.keepalive(lsn(70), false).unwrap().lsn(), lsn(70));
    }

    #[test]
    fn tokens_never_go_back() {
        let mut progress = Progress::new(Lsn::ZERO);
        let _commit = progress.commit(lsn(90));
        assert_eq!(progress.keepalive(lsn(50), true).unwrap().lsn(), lsn(90));
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
        /// Whatever happens, what is confirmed is the position of the newest acknowledged token, and so nothing of
        /// what was handed out after it.
        #[test]
        fn confirms_only_what_was_acknowledged(steps in prop::collection::vec((0_u8..5, 0_u64..20), 1..200)) {
            let mut progress = Progress::new(Lsn::ZERO);
            let mut position = 0;
            let mut open = false;
            let mut waiting = std::collections::VecDeque::<CommitToken>::new();
            let (mut issued, mut acknowledged) = (Lsn::ZERO, Lsn::ZERO);
            for (step, forward) in steps {
                let token = match step {
                    0 if !open => { progress.begin(); open = true; None }
                    1 if open => {
                        position += 1 + forward;
                        open = false;
                        Some(progress.commit(lsn(position)))
                    }
                    2 | 3 => {
                        // Sometimes before what was sent already.
                        let end = lsn((position + forward).saturating_sub(5));
                        position = position.max(end.get());
                        let token = progress.keepalive(end, step == 3);
                        prop_assert_eq!(token.is_some(), !open && (step == 3 || end > issued));
                        token
                    }
                    4 => {
                        if let Some(token) = waiting.pop_front() {
                            acknowledged = token.lsn();
                            prop_assert!(progress.acknowledge(&token));
                        }
                        None
                    }
                    _ => None,
                };
                if let Some(token) = token {
                    prop_assert!(token.lsn() >= issued);
                    issued = token.lsn();
                    waiting.push_back(token);
                }
                prop_assert_eq!(progress.confirmed(), acknowledged);
            }
        }
    }
}
