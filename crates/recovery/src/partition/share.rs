//! What each partition may hold of what all may hold.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all partitions together may hold. Each has an equal share, so that one that is stuck takes nothing from the
/// others.
#[derive(Debug)]
pub(crate) struct Shares {
    bytes: NonZeroUsize,
    concurrency: NonZeroUsize,
    partitions: AtomicUsize,
}

/// The share of one partition, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share(Arc<Shares>);

/// Records that a partition may hold for each attempt at the same time: those that wait behind others of their key
/// count too, and attempts are to find others.
const RECORDS_FOR_EACH_ATTEMPT: usize = 4;

/// The least that a partition may hold, so that a low concurrency does not make for small batches.
const LEAST_RECORDS: usize = 1024;

impl Shares {
    pub(crate) fn new(bytes: NonZeroUsize, concurrency: NonZeroUsize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            concurrency,
            partitions: AtomicUsize::new(0),
        })
    }

    pub(crate) fn share(self: &Arc<Self>) -> Share {
        self.partitions.fetch_add(1, Ordering::Relaxed);
        Share(Arc::clone(self))
    }
}

impl Share {
    /// Records that the partition may hold.
    pub(super) fn records(&self) -> usize {
        self.0
            .concurrency
            .get()
            .saturating_mul(RECORDS_FOR_EACH_ATTEMPT)
            .max(LEAST_RECORDS)
    }

    /// Bytes that the partition may hold; one record of any size may be held all the same.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes.get() / self.0.partitions.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.partitions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_share_the_bytes_evenly() {
        let bytes = NonZeroUsize::new(100).unwrap();
        let shares = Shares::new(bytes, NonZeroUsize::MIN);
        let first = shares.share();
        assert_eq!(first.bytes(), 100);
        let second = shares.share();
        assert_eq!((first.bytes(), second.bytes()), (50, 50));
        drop(first);
        assert_eq!(second.bytes(), 100);
    }
}
