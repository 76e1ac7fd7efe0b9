//! The consumer at the end of the pipeline, which writes down what it sees.

mod isolation;
mod poll;
mod source;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::delivery::Delivery;
use crate::journal::Journal;
use crate::ledger::Verdict;
use crate::topics::Topics;
use crate::wait::{Look, until};
pub use isolation::Isolation;
use poll::PollLoop;
use source::Source;

/// How long reading the topics to their end may take, once everything has been seen.
const READ_TO_END: Duration = Duration::from_secs(30);

/// Reads all partitions of the workload's topics from their beginning, whenever they appear, without a consumer group.
/// The thread that reads ends when this is dropped.
#[derive(Debug)]
pub struct Consumer {
    journal: Journal,
    promise: Delivery,
    signals: Arc<Signals>,
    thread: Option<JoinHandle<()>>,
}

/// What the consumer and its thread tell each other.
#[derive(Debug, Default)]
struct Signals {
    stop: AtomicBool,
    read_to_end: AtomicBool,
    at_end: AtomicBool,
}

impl Consumer {
    /// Starts to read; what `promise` says of duplicates is what they are judged by.
    ///
    /// # Errors
    /// Fails if there is no thread or client to be had; the broker need not be up.
    pub fn start(
        brokers: &str,
        topics: &Topics,
        journal: &Journal,
        isolation: Isolation,
        promise: Delivery,
    ) -> Result<Self> {
        let signals = Arc::new(Signals::default());
        let source = Source {
            brokers: brokers.to_owned(),
            isolation,
            journal: journal.clone(),
        };
        let poll_loop = PollLoop::new(source, topics, Arc::clone(&signals))?;
        let thread = std::thread::Builder::new()
            .name("consumer".into())
            .spawn(|| poll_loop.run())?;
        Ok(Self {
            journal: journal.clone(),
            promise,
            signals,
            thread: Some(thread),
        })
    }

    /// Waits until everything that was committed has been seen, reads the topics to their end for what should not be
    /// there, and judges. The writer must have stopped.
    ///
    /// # Errors
    /// Fails if a topic cannot be read to its end. Events that don't come within `limit` are the verdict's business.
    pub async fn finish(self, limit: Duration) -> Result<Verdict> {
        // The verdict says it better.
        self.journal.all_received(limit).await.ok();
        self.signals.read_to_end.store(true, Ordering::Relaxed);
        until(READ_TO_END, "the end of the topics", async || {
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            let at_end = self.signals.at_end.load(Ordering::Relaxed);
            ensure!(at_end || !ended, "the consumer's thread has panicked");
            Ok(Look::when(at_end, "more to read"))
        })
        .await
        .context("read the topics to their end")?;
        Ok(self.journal.verdict(self.promise))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.signals.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
