//! How much of what waits is held in memory too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cdc_event::Record;

use crate::fact::record_size;

/// Bytes of records that may be held in memory. The others are read again when their turn comes.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    held: AtomicUsize,
}

/// A record that is held, and its share of the memory.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) record: Arc<Record>,
    size: usize,
    memory: Arc<Memory>,
}

impl Memory {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            held: AtomicUsize::new(0),
        }
    }

    /// Holds a record, if there is room for it.
    pub(crate) fn hold(self: &Arc<Self>, record: Record) -> Option<Held> {
        let size = record_size(&record);
        let fits = |held: usize| held.checked_add(size).filter(|held| *held <= self.limit);
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .ok()?;
        Some(Held {
            record: Arc::new(record),
            size,
            memory: Arc::clone(self),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.size, Ordering::Relaxed);
    }
}
