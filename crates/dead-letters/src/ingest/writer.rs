//! Stores what handlers give, many in one round trip.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cdc_store::{Error, FailedEventId, FailedEvents, NewFailedEvent, Origin};
use metrics::{counter, gauge};
use pg_replication::ConnectOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::metric;

/// Dead letters that are stored together.
const BATCH: usize = 500;

/// How long a call of the store may take; a session that does not answer stays so.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Classes of SQLSTATE that are about rows: data exceptions, violated constraints, exceeded limits.
const OF_ROWS: [&str; 3] = ["22", "23", "54"];

/// Why nothing was stored; shared by all whom it concerns.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum StoreFailure {
    #[error(transparent)]
    Refused(Arc<Error>),
    #[error("the store has not answered within {CALL_LIMIT:?}")]
    Silent,
}

/// A dead letter to be stored.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) event: NewFailedEvent,
    /// The failed event whose origin it has, if that is there and of the same group.
    pub(super) replay_of: Option<FailedEventId>,
    pub(super) answer: oneshot::Sender<Result<(), StoreFailure>>,
}

/// Stores what an [`Ingest`](super::Ingest) is given; without it running, nothing is.
#[derive(Debug)]
pub struct Writer {
    options: ConnectOptions,
    jobs: mpsc::Receiver<Job>,
    store: Option<FailedEvents>,
}

impl Writer {
    pub(super) fn new(options: ConnectOptions, jobs: mpsc::Receiver<Job>) -> Self {
        Self {
            options,
            jobs,
            store: None,
        }
    }

    /// Stores until the [`Ingest`](super::Ingest) is gone and everything that it gave is dealt with.
    ///
    /// Connects when there is something to store, and again after a failure. Dropping it makes the handlers fail, which
    /// then try again; what they gave may have been stored.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.jobs.recv_many(&mut batch, BATCH).await > 0 {
            gauge!(metric::WAITING).set(self.jobs.len() as f64);
            self.serve(&mut batch).await;
        }
    }

    async fn serve(&mut self, batch: &mut Vec<Job>) {
        let (mut events, answers): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|job| ((job.event, job.replay_of), job.answer))
            .unzip();
        let stored = self.store(&mut events).await;
        // One that is refused for itself must not hold the others back.
        let alone = events.len() > 1 && stored.as_ref().is_err_and(is_refusal);
        for (event, answer) in events.iter_mut().zip(answers) {
            let result = if alone {
                self.store(std::slice::from_mut(event)).await
            } else {
                stored.clone()
            };
            count(&result);
            // Whoever asked may have been stopped meanwhile; it is stored all the same.
            answer.send(result).ok();
        }
    }

    async fn store(
        &mut self,
        events: &mut [(NewFailedEvent, Option<FailedEventId>)],
    ) -> Result<(), StoreFailure> {
        let mut store = self.connected().await?;
        let done = limited(store_all(&mut store, events)).await;
        // A session that failed to answer in time is dropped, and with it whatever it still does.
        if !matches!(done, Err(StoreFailure::Silent)) {
            self.store = Some(store);
        }
        done
    }

    async fn connected(&mut self) -> Result<FailedEvents, StoreFailure> {
        match self.store.take() {
            Some(store) => Ok(store),
            None => limited(FailedEvents::connect(&self.options)).await,
        }
    }
}

async fn store_all(
    store: &mut FailedEvents,
    events: &mut [(NewFailedEvent, Option<FailedEventId>)],
) -> Result<(), Error> {
    let replays: Vec<FailedEventId> = events.iter().filter_map(|(_, id)| *id).collect();
    if !replays.is_empty() {
        let origins = store.origins(&replays).await?;
        for (event, replay_of) in events.iter_mut() {
            let known = origins
                .iter()
                .find(|(id, origin)| Some(*id) == *replay_of && is_of_same_group(origin, event));
            if let Some((_, origin)) = known {
                event.origin = origin.clone();
            }
        }
    }
    let events: Vec<NewFailedEvent> = events.iter().map(|(event, _)| event.clone()).collect();
    store.record(&events).await.map(drop)
}

/// The number is somebody's word: it must not reach the events of others.
fn is_of_same_group(origin: &Origin, event: &NewFailedEvent) -> bool {
    match (origin, &event.origin) {
        (Origin::Consumer { group: one, .. }, Origin::Consumer { group: other, .. }) => {
            one == other
        }
        (Origin::Relay { .. }, _) | (_, Origin::Relay { .. }) => false,
    }
}

async fn limited<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, StoreFailure> {
    match timeout(CALL_LIMIT, call).await {
        Ok(done) => done.map_err(|error| StoreFailure::Refused(Arc::new(error))),
        Err(_) => Err(StoreFailure::Silent),
    }
}

/// Whether it is about the rows of one event rather than the store; what is tried again is decided elsewhere.
fn is_refusal(failure: &StoreFailure) -> bool {
    match failure {
        StoreFailure::Refused(error) => match error.as_ref() {
            Error::Postgres { source, .. } => source.sql_state().is_some_and(|state| {
                OF_ROWS
                    .iter()
                    .any(|class| state.as_str().starts_with(class))
            }),
            Error::NoTable(_) | Error::Unreadable { .. } => false,
        },
        StoreFailure::Silent => false,
    }
}

fn count(result: &Result<(), StoreFailure>) {
    let name = if result.is_ok() {
        metric::STORED
    } else {
        metric::STORE_ERRORS
    };
    counter!(name).increment(1);
}
