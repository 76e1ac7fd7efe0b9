//! Stores dead letters.

mod event;
mod writer;

use std::error::Error;

use cdc_event::{Attempt, ErrorCode, Failure, Handler, HandlerError, Record};
use failure_headers::{Failed, dead_letter};
use pg_replication::ConnectOptions;
use tokio::sync::{mpsc, oneshot};

use self::event::DeadLetterEvent;
use self::writer::Job;
pub use self::writer::Writer;

/// Dead letters that may wait for the writer; the runner bounds their bytes.
const WAITING: usize = 1024;

/// Where a replay sends what a group failed at: its own entry, never a topic that other groups read.
pub trait ReplayEntries: Send + Sync + 'static {
    /// The topic for what `group` failed at in `topic`; `None` when there is none, so that it cannot be replayed.
    fn entry(&self, group: &str, topic: &str) -> Option<String>;

    /// The same for a dead letter that does not say where it came from.
    fn entry_of_unknown(&self) -> Option<String> {
        None
    }
}

impl<F> ReplayEntries for F
where
    F: Fn(&str, &str) -> Option<String> + Send + Sync + 'static,
{
    fn entry(&self, group: &str, topic: &str) -> Option<String> {
        self(group, topic)
    }
}

/// A [`Handler`] that stores every record it is given as a failed event, once, and publishes nothing.
///
/// Whoever wrote the dead letter, as much of it is understood as there is. One that does not say where it came from is
/// an event of its own, at the position where it was read. A record that was stored may come again: that is no news.
///
/// Whatever goes wrong may pass, so that no dead letter is ever given up: [`Failure::Transient`], always.
#[derive(Debug)]
pub struct Ingest<E> {
    group: String,
    entries: E,
    jobs: mpsc::Sender<Job>,
}

impl<E: ReplayEntries> Ingest<E> {
    /// A handler and the writer that serves it, for the store at `options`. Nothing is connected yet.
    ///
    /// `group` is the consumer group of dead letters that do not say whose they are.
    pub fn new(options: ConnectOptions, group: impl Into<String>, entries: E) -> (Self, Writer) {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let ingest = Self {
            group: group.into(),
            entries,
            jobs,
        };
        (ingest, Writer::new(options, waiting))
    }

    /// Stores a record that not even a dead-letter topic takes, with what there is to say about it. It comes from no
    /// dead letter: one that is stored twice has failed twice.
    ///
    /// Cancel safe: what was handed to the writer may be stored all the same.
    ///
    /// # Errors
    ///
    /// It is not known to be stored; it may be later.
    pub async fn keep(&self, record: &Record, failed: &Failed<'_>) -> Result<(), HandlerError> {
        let letter = Record {
            headers: dead_letter(&record.headers, failed),
            ..record.clone()
        };
        let mut kept = DeadLetterEvent::of(&letter, &self.group, &self.entries);
        kept.event.dead_letter = None;
        self.store(kept).await
    }

    async fn store(&self, letter: DeadLetterEvent) -> Result<(), HandlerError> {
        let DeadLetterEvent { event, replay_of } = letter;
        let (answer, answered) = oneshot::channel();
        let job = Job {
            event,
            replay_of,
            answer,
        };
        if self.jobs.send(job).await.is_err() {
            return Err(not_stored("the writer has stopped"));
        }
        match answered.await {
            Ok(stored) => stored.map_err(not_stored),
            Err(_) => Err(not_stored("the writer has stopped")),
        }
    }
}

impl<E: ReplayEntries> Handler for Ingest<E> {
    /// Cancel safe: what was handed to the writer may be stored all the same.
    async fn handle(&self, record: &Record, _: Attempt) -> Result<(), Failure> {
        let letter = DeadLetterEvent::of(record, &self.group, &self.entries);
        self.store(letter).await.map_err(Failure::transient)
    }
}

fn not_stored(why: impl Into<Box<dyn Error + Send + Sync>>) -> HandlerError {
    let code = ErrorCode::from_static("dead-letter-not-stored");
    HandlerError::new(code, "the dead letter could not be stored").caused_by(why)
}
