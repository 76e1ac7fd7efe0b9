//! A worker with a handler that does as it is told.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdc_event::{Admission, Attempt, ErrorCode, Failure, Handler, HandlerError, Record};
use ordered_lanes::{DeadHead, LaneWorker, PostgresLanes, WorkerError, WorkerSettings};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::records::{GROUP, again, guard, record};
use crate::standalone::{Retries, Standalone};

pub(crate) const TICK: Duration = Duration::from_millis(10);
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// What the handler does with the record at an offset, at its first attempts; then it succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Fail(u32),
    Poison,
    Fatal,
    /// Until it is told to go on.
    Hang,
}

#[derive(Default)]
pub(crate) struct Scripted {
    scripts: HashMap<i64, Script>,
    pub(crate) go_on: Notify,
    /// Each call: offset and number of the attempt.
    calls: Mutex<Vec<(i64, u32)>>,
    succeeded: Mutex<Vec<i64>>,
    dropped: Arc<Mutex<u32>>,
}

/// Counts when it is dropped before it was told not to.
struct Bomb(Option<Arc<Mutex<u32>>>);

impl Drop for Bomb {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            *dropped.lock().unwrap() += 1;
        }
    }
}

impl Handler for Scripted {
    async fn handle(&self, record: &Record, attempt: Attempt) -> Result<(), Failure> {
        let (offset, number) = (record.origin.offset, attempt.number.get());
        self.calls.lock().unwrap().push((offset, number));
        let error = || HandlerError::new(ErrorCode::from_static("no-luck"), "it did not work");
        match self.scripts.get(&offset) {
            Some(Script::Fail(until)) if number <= *until => {
                return Err(Failure::transient(error()));
            }
            Some(Script::Poison) => return Err(Failure::poison(error())),
            Some(Script::Fatal) => return Err(Failure::fatal(error())),
            Some(Script::Hang) => {
                let mut bomb = Bomb(Some(Arc::clone(&self.dropped)));
                self.go_on.notified().await;
                bomb.0 = None;
            }
            Some(Script::Fail(_)) | None => {}
        }
        self.succeeded.lock().unwrap().push(offset);
        Ok(())
    }
}

impl Scripted {
    pub(crate) fn new(scripts: impl IntoIterator<Item = (i64, Script)>) -> Arc<Self> {
        Arc::new(Self {
            scripts: scripts.into_iter().collect(),
            ..Self::default()
        })
    }

    pub(crate) fn calls(&self) -> Vec<(i64, u32)> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn succeeded(&self) -> Vec<i64> {
        self.succeeded.lock().unwrap().clone()
    }

    pub(crate) fn dropped(&self) -> u32 {
        *self.dropped.lock().unwrap()
    }
}

pub(crate) fn settings() -> WorkerSettings {
    WorkerSettings {
        group: GROUP.into(),
        concurrency: NonZeroUsize::new(4).unwrap(),
        lease: LONG,
        poll: TICK,
        turn: LONG,
        dead_head: DeadHead::Hold,
        drain: LONG,
    }
}

const RETRIES: Retries = Retries {
    attempts: Some(6),
    pause: TICK,
};

/// A worker in a task of its own.
pub(crate) struct Running {
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinSet<Result<(), WorkerError>>,
}

impl Running {
    pub(crate) async fn start(
        database: &Database,
        handler: &Arc<Scripted>,
        settings: WorkerSettings,
    ) -> Self {
        let lanes = Arc::new(database.lanes().await);
        let heads = Standalone {
            handler: Arc::clone(handler),
            retries: RETRIES,
        };
        let worker = LaneWorker::new(lanes, Arc::new(heads), settings);
        let (stop, mut task) = (CancellationToken::new(), JoinSet::new());
        let stopped = stop.clone();
        task.spawn(async move { worker.run(&stopped).await });
        Self { stop, task }
    }

    pub(crate) async fn stop(mut self) -> Result<(), WorkerError> {
        self.stop.cancel();
        self.task.join_next().await.unwrap().unwrap()
    }
}

pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(TICK / 5).await;
    }
}

pub(crate) async fn until_text(database: &Database, sql: &str, expected: &str) {
    let deadline = Instant::now() + LONG;
    loop {
        let text = database.text(sql).await;
        if text.as_deref() == Some(expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {text:?}");
    }
}

/// Lanes with these records; the first of a key is the one that failed.
pub(crate) async fn lanes_of(database: &Database, records: &[(i64, &str)]) {
    let lanes: Arc<PostgresLanes> = Arc::new(database.lanes().await);
    let guard = guard(&lanes, 0, 0).await;
    for (offset, key) in records {
        let record = record(0, *offset, Some(key));
        if guard.admit(&record).await.unwrap() == Admission::Process {
            guard.park(&record, &again(Duration::ZERO)).await.unwrap();
        }
    }
}
