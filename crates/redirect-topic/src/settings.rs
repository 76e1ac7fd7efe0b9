//! How records wait in redirect topics.

use std::num::NonZeroUsize;
use std::time::Duration;

use cdc_event::DeadHead;

/// How records wait, and are dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedirectSettings {
    /// What becomes of records behind one that is given up.
    pub dead_head: DeadHead,
    /// Bounds.
    pub limits: RedirectLimits,
    /// How many keys are dealt with at the same time.
    pub concurrency: NonZeroUsize,
    /// How often an owner looks for what others want: replays that came in elsewhere, and discards.
    pub follow: Duration,
    /// How long what is begun may go on after the stop.
    pub drain: Duration,
}

/// Bounds of what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedirectLimits {
    /// Keys of a partition that may be open. Beyond it no other key is let in, and those that fail stand still.
    pub open_keys: usize,
    /// Records of a partition that may wait; some 500 bytes of memory each. Beyond it those that would have to wait stand
    /// still.
    pub records: usize,
    /// Bytes of records that are held in memory, of all partitions. The others are read again when their turn comes.
    pub memory: usize,
}

impl RedirectSettings {
    /// A hundred thousand open keys and half a million records in a partition, 64 MiB of records in memory, 16 keys at the
    /// same time, a look at what others want each second, ten seconds for the end.
    #[must_use]
    pub const fn new(dead_head: DeadHead) -> Self {
        Self {
            dead_head,
            limits: RedirectLimits {
                open_keys: 100_000,
                records: 500_000,
                memory: 64 * 1024 * 1024,
            },
            concurrency: NonZeroUsize::MIN.saturating_add(15),
            follow: Duration::from_secs(1),
            drain: Duration::from_secs(10),
        }
    }
}
