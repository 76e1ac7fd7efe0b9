//! What a group consumer tells its owner.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::PartitionReader;
use super::waker::Waker;
use crate::error::Error;
use crate::record::TopicPartition;

/// What a [`GroupConsumer`](super::GroupConsumer) tells its owner.
#[derive(Debug)]
pub enum ConsumerEvent {
    /// These partitions are this member's now, each to be read by its own reader.
    Assigned(Vec<PartitionReader>),
    /// These partitions go to another member: finish what is in flight.
    Revoking(Revocation),
    /// These partitions were taken away without asking, because the group lost sight of this member, and another one
    /// may be reading them already; or because their topic was deleted. What is stored for them is not committed.
    Lost(Vec<TopicPartition>),
    /// Something does not work at the moment; the client goes on by itself, and the same is not told again for a
    /// while. With [`Disposition::Permanent`](crate::Disposition::Permanent) it will not work until a person changes
    /// something.
    Trouble(Error),
    /// librdkafka's client was of no more use, for this reason, and another one takes its place after a pause. Its partitions
    /// were [lost](Self::Lost) before; the consumer goes on by itself, as a new member of the group.
    Renewing(Error),
    /// The consumer is of no more use, for example because another one has its instance id. Its readers have ended, and
    /// nothing more is committed.
    Failed(Error),
}

/// Partitions that go to another member. Their readers have ended.
///
/// The rebalance waits until the last clone of this is dropped, and at most until the
/// [deadline](Self::deadline). What is stored until then is committed, and only then does the next member begin to
/// read. This member gets no records of its other partitions meanwhile: librdkafka fetches none in a rebalance.
#[derive(Clone)]
pub struct Revocation(Arc<Inner>);

struct Inner {
    partitions: Vec<TopicPartition>,
    deadline: Instant,
    waker: Waker,
}

impl Revocation {
    pub(super) fn new(
        partitions: Vec<TopicPartition>,
        deadline: Instant,
        waker: Waker,
    ) -> (Self, Unfinished) {
        let inner = Arc::new(Inner {
            partitions,
            deadline,
            waker,
        });
        let unfinished = Unfinished {
            revocation: Arc::downgrade(&inner),
            deadline,
        };
        (Self(inner), unfinished)
    }

    /// The partitions.
    #[must_use]
    pub fn partitions(&self) -> &[TopicPartition] {
        &self.0.partitions
    }

    /// After this the partitions are let go, finished or not; what is stored later is not committed.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Says that all is finished, as dropping it does.
    pub fn done(self) {}
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.waker.wake();
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation")
            .field("partitions", &self.0.partitions)
            .field("deadline", &self.0.deadline)
            .finish()
    }
}

/// The other end of a [`Revocation`].
pub(super) struct Unfinished {
    revocation: std::sync::Weak<Inner>,
    deadline: Instant,
}

/// Why nothing more is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Finished,
    TooLate,
}

impl Unfinished {
    /// Whether to go on, and why.
    pub(super) fn over(&self, now: Instant) -> Option<Over> {
        if self.revocation.strong_count() == 0 {
            Some(Over::Finished)
        } else if now >= self.deadline {
            Some(Over::TooLate)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn is_over_with_the_last_clone_or_the_deadline() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let (revocation, unfinished) = Revocation::new(Vec::new(), deadline, Waker::default());
        let clone = revocation.clone();
        revocation.done();
        assert_eq!(unfinished.over(Instant::now()), None);
        assert_eq!(unfinished.over(deadline), Some(Over::TooLate));
        drop(clone);
        assert_eq!(unfinished.over(Instant::now()), Some(Over::Finished));
    }
}
