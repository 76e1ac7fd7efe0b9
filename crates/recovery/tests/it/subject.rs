//! What is tested: a runner with topics and a group of its own, and a handler that does as it is told.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cdc_event::{Attempt, ErrorCode, Failure, Handler, HandlerError, KafkaPosition, Record};
use cdc_kafka::{KafkaOptions, TopicConfig};
use recovery::{
    BlockingRetry, BreakerSettings, Error, LastResort, RetryPlan, Runner, Settings, Snapshot,
    Status,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Sent, soon, unique_name, until};

pub(crate) const FAILED: ErrorCode = ErrorCode::from_static("failed");

/// A source topic and a group of its own; its topics are deleted in the end.
pub(crate) struct Subject {
    pub(crate) topic: String,
    pub(crate) settings: Settings,
    pub(crate) calls: Calls,
    options: KafkaOptions,
    others: Vec<String>,
}

/// What the handler was called with, in the order in which the calls began.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>);

/// A call of the handler.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) record: Record,
    pub(crate) attempt: Attempt,
    pub(crate) began: Instant,
    /// Set when it has succeeded.
    pub(crate) succeeded: bool,
}

/// What the handler does about a record: takes this long, then gives this.
pub(crate) struct Reply {
    pub(crate) after: Duration,
    pub(crate) result: Result<(), Failure>,
}

/// A runner that runs.
pub(crate) struct Running {
    pub(crate) status: Status,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

/// One type for all scripts: a runner is compiled for each type of its handler.
struct Scripted {
    calls: Calls,
    script: Box<Script>,
}

type Script = dyn Fn(&Record, Attempt) -> Reply + Send + Sync;

impl Subject {
    /// A source without records. No outage is told unless the test says so.
    pub(crate) async fn new(
        label: &str,
        partitions: i32,
        blocking: BlockingRetry,
        tiers: &[Duration],
    ) -> Self {
        Self::on(cluster::options(), label, partitions, blocking, tiers).await
    }

    /// As [`new`](Self::new), on another cluster.
    pub(crate) async fn on(
        options: KafkaOptions,
        label: &str,
        partitions: i32,
        blocking: BlockingRetry,
        tiers: &[Duration],
    ) -> Self {
        let topic = unique_name(label);
        cluster::create_on(&options, &topic, partitions, TopicConfig::new()).await;
        let plan = RetryPlan::new(blocking, tiers.to_vec()).unwrap();
        let settings = Settings {
            breaker: None,
            commit_interval: Duration::from_millis(100),
            ..Settings::new(unique_name("group"), vec![topic.clone()], plan)
        };
        Self {
            topic,
            settings,
            calls: Calls::default(),
            options,
            others: Vec::new(),
        }
    }

    /// Another topic that is to be deleted in the end.
    pub(crate) fn owns(&mut self, topic: impl Into<String>) {
        self.others.push(topic.into());
    }

    pub(crate) async fn send(&self, records: &[Sent]) {
        cluster::send_with(&self.options, &self.topic, records).await;
    }

    pub(crate) fn dead_letter_topic(&self) -> String {
        self.settings.names().unwrap().sources()[0]
            .dead_letter
            .clone()
    }

    pub(crate) fn retry_topic(&self, tier: usize) -> String {
        self.settings.names().unwrap().sources()[0].retries[tier - 1].clone()
    }

    pub(crate) fn retry_group(&self) -> String {
        self.settings.names().unwrap().retry_group()
    }

    pub(crate) async fn dead_letters(&self) -> Vec<Sent> {
        cluster::read_on(&self.options, &self.dead_letter_topic()).await
    }

    /// Where the group stands in the source.
    pub(crate) async fn committed(&self) -> Vec<i64> {
        cluster::committed_on(&self.options, &self.settings.group, &self.topic)
            .await
            .into_values()
            .collect()
    }

    /// Waits until the group has committed this many records, of all partitions.
    pub(crate) async fn until_committed(&self, records: usize) {
        let records = i64::try_from(records).unwrap();
        let waited = tokio::time::timeout(cluster::DEADLINE, async {
            while self.committed().await.iter().sum::<i64>() < records {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.expect("the group has committed all");
    }

    pub(crate) fn start(
        &self,
        script: impl Fn(&Record, Attempt) -> Reply + Send + Sync + 'static,
    ) -> Running {
        self.run(self.runner(script))
    }

    pub(crate) fn start_with(
        &self,
        last_resort: impl LastResort,
        script: impl Fn(&Record, Attempt) -> Reply + Send + Sync + 'static,
    ) -> Running {
        self.run(self.runner(script).with_last_resort(last_resort))
    }

    fn runner(
        &self,
        script: impl Fn(&Record, Attempt) -> Reply + Send + Sync + 'static,
    ) -> Runner<Scripted> {
        let handler = Scripted {
            calls: self.calls.clone(),
            script: Box::new(script),
        };
        Runner::new(self.options.clone(), self.settings.clone(), handler).unwrap()
    }

    /// Runs another handler, whose calls are not noted.
    pub(crate) fn start_handler(&self, handler: impl Handler) -> Running {
        self.run(Runner::new(self.options.clone(), self.settings.clone(), handler).unwrap())
    }

    fn run(&self, runner: Runner<impl Handler>) -> Running {
        let stop = CancellationToken::new();
        let (status, token) = (runner.status(), stop.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "`Running` waits for it or drops it"
        )]
        let task = tokio::spawn(runner.run(token));
        Running { status, stop, task }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let names = self.settings.names().unwrap();
        let mut topics = std::mem::take(&mut self.others);
        topics.push(self.topic.clone());
        topics.extend(names.retry_topics().map(str::to_owned));
        topics.extend(names.dead_letter_topics().into_iter().map(str::to_owned));
        cluster::delete(&topics);
    }
}

impl Running {
    /// Stops it in order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon(self.task).await.unwrap().unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn end(self) -> Result<(), Error> {
        soon(self.task).await.unwrap()
    }

    /// Drops it without a word.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(soon(self.task).await.unwrap_err().is_cancelled());
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        assert!(!self.task.is_finished(), "it has ended");
        self.status.snapshot()
    }
}

impl Calls {
    pub(crate) fn all(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Calls for records with this value.
    pub(crate) fn of(&self, value: &str) -> Vec<Call> {
        self.all()
            .into_iter()
            .filter(|call| call.text() == value)
            .collect()
    }

    pub(crate) fn succeeded(&self) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|call| call.succeeded)
            .count()
    }

    pub(crate) async fn reach(&self, count: usize) {
        until(&format!("{count} calls"), || self.count() >= count).await;
    }

    pub(crate) async fn reach_successes(&self, count: usize) {
        until(&format!("{count} successes"), || self.succeeded() >= count).await;
    }
}

impl Call {
    pub(crate) fn text(&self) -> String {
        text(&self.record)
    }

    pub(crate) fn key(&self) -> String {
        String::from_utf8_lossy(self.record.key.as_deref().unwrap_or_default()).into_owned()
    }
}

impl Reply {
    pub(crate) fn now(result: Result<(), Failure>) -> Self {
        Self {
            after: Duration::ZERO,
            result,
        }
    }

    pub(crate) fn success() -> Self {
        Self::now(Ok(()))
    }

    pub(crate) fn transient() -> Self {
        Self::now(Err(Failure::transient(error(FAILED))))
    }

    pub(crate) fn poison() -> Self {
        Self::now(Err(Failure::poison(error(FAILED))))
    }

    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

impl Handler for Scripted {
    async fn handle(&self, record: &Record, attempt: Attempt) -> Result<(), Failure> {
        let number = {
            let mut calls = self.calls.0.lock().unwrap();
            calls.push(Call {
                record: record.clone(),
                attempt,
                began: Instant::now(),
                succeeded: false,
            });
            calls.len() - 1
        };
        let Reply { after, result } = (self.script)(record, attempt);
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        self.calls.0.lock().unwrap()[number].succeeded = result.is_ok();
        result
    }
}

pub(crate) fn error(code: ErrorCode) -> HandlerError {
    HandlerError::new(code, "it did not work").caused_by("no reason")
}

/// The value of a record as text.
pub(crate) fn text(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Always after the same time.
pub(crate) fn fixed(delay_ms: u64, retries: u32) -> BlockingRetry {
    BlockingRetry::Fixed {
        delay: millis(delay_ms),
        retries,
    }
}

/// An outage is told soon, and tried often.
pub(crate) fn quick_breaker() -> BreakerSettings {
    BreakerSettings {
        first_probe: millis(100),
        probe_cap: millis(300),
        ..BreakerSettings::default()
    }
}

pub(crate) fn at(topic: &str, partition: i32, offset: i64) -> KafkaPosition {
    KafkaPosition {
        topic: topic.to_owned(),
        partition,
        offset,
    }
}
