//! Runs a handler over the topics of a group.

mod backlog;
mod member;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cdc_event::Handler;
use cdc_kafka::{ConsumerSettings, KafkaOptions};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::member::Member;
use crate::breaker::Breaker;
use crate::error::Error;
use crate::last_resort::LastResort;
use crate::metric;
use crate::names::Names;
use crate::ordering::Ordering;
use crate::partition::Shares;
use crate::progress::Progress;
use crate::publisher::Publisher;
use crate::settings::Settings;
use crate::status::Status;
use crate::topology::Topology;
use crate::work::{Heads, Shared};

/// Runs a [`Handler`] over the topics of a consumer group.
///
/// * Records of different keys are handled at the same time, those of one key in their order. A record without a key
///   waits for none.
/// * One that fails is tried again in its place, then in retry topics, then it is a dead letter, as the
///   [`RetryPlan`](crate::RetryPlan) says. It leaves its topic only when Kafka has acknowledged it in the next.
/// * With [`Settings::ordering`](crate::Settings::ordering) by key, the records of a key wait for one that failed until it
///   is dealt with; without, only while it is tried again in its place.
/// * When almost everything fails, that is an outage: nothing is handed over until it has passed.
/// * An offset is committed when everything before it is done. After a crash some records come again.
/// * A handler that panics has failed at that record.
///
/// Retry topics are read by a group of their own, `{group}.retry`, with the same handler.
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
///
/// use cdc_event::{Attempt, Failure, Handler, Record};
/// use cdc_kafka::KafkaOptions;
/// use recovery::{BlockingRetry, RetryPlan, Runner, Settings};
/// use tokio_util::sync::CancellationToken;
///
/// struct Billing;
///
/// impl Handler for Billing {
///     async fn handle(&self, record: &Record, _: Attempt) -> Result<(), Failure> {
///         println!("{}", record.origin);
///         Ok(())
///     }
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let blocking = BlockingRetry::Fixed { delay: Duration::from_secs(1), retries: 2 };
/// let plan = RetryPlan::new(blocking, vec![Duration::from_secs(60)])?;
/// let settings = Settings::new("billing", vec!["orders".into()], plan);
/// let runner = Runner::new(KafkaOptions::new("localhost:9092"), settings, Billing)?;
/// let stop = CancellationToken::new();
/// runner.run(stop).await?;
/// # Ok(())
/// # }
/// ```
pub struct Runner<H> {
    options: KafkaOptions,
    settings: Settings,
    shared: Shared<H>,
}

/// What a producer takes at most: brokers and topics have the last word.
const LARGEST_RECORD: &str = "134217728";

/// How often a producer is looked at.
const STATISTICS_INTERVAL_MS: &str = "2000";

impl<H: Handler> Runner<H> {
    /// A runner that connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`], or [`Error::Kafka`] for options that cannot be.
    pub fn new(options: KafkaOptions, settings: Settings, handler: H) -> Result<Self, Error> {
        let names = settings.names()?;
        let outage = metric::of_group(metric::OUTAGE, names.group());
        let shared = Shared {
            plan: settings.retry.clone(),
            permits: Semaphore::new(settings.concurrency.get().min(Semaphore::MAX_PERMITS)),
            breaker: Arc::new(Breaker::new(settings.breaker, outage)),
            publisher: Publisher::new(for_publishing(&options)).map_err(Error::Kafka)?,
            topology: Topology::new(options.clone(), settings.creation.clone(), &names),
            last_resort: None,
            progress: Arc::new(Progress::new(names.group())),
            ordering: settings.ordering.clone(),
            order_in_trouble: AtomicBool::new(false),
            handler,
            names,
        };
        Ok(Self {
            options,
            settings,
            shared,
        })
    }

    /// Where dead letters go that their topic does not take. Without it their keys wait.
    #[must_use]
    pub fn with_last_resort(mut self, last_resort: impl LastResort) -> Self {
        self.shared.last_resort = Some(Arc::new(last_resort));
        self
    }

    /// To look at while it runs.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            progress: Arc::clone(&self.shared.progress),
            breaker: Arc::clone(&self.shared.breaker),
        }
    }

    /// What the topics are called.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.shared.names
    }

    /// Runs until it is told to stop: then attempts in flight end, what is done is committed, and the groups are left.
    ///
    /// Waits for Kafka at the start, and creates topics. Dropping it is like a crash: what was not committed is done
    /// again.
    ///
    /// # Errors
    ///
    /// What cannot pass by itself: the handler cannot go on, Kafka refuses, a topic is missing and may not be created.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let Self {
            options,
            settings,
            shared,
        } = self;
        let shared = Arc::new(shared);
        let stop = stop.child_token();
        if !prepare(&shared, &stop).await? {
            return Ok(());
        }
        let serving = CancellationToken::new();
        let mut services = JoinSet::new();
        let (publisher, token) = (Arc::clone(&shared), serving.clone());
        services.spawn(async move { publisher.publisher.serve(&token).await });
        let (watched, token, watch_options) =
            (Arc::clone(&shared), serving.clone(), options.clone());
        services.spawn(async move { backlog::watch(&watched, &watch_options, &token).await });

        let members = members(&options, &settings, &shared);
        let result = match members {
            Ok(members) => run_members(members, &shared, &stop).await,
            Err(error) => Err(error),
        };
        serving.cancel();
        services.join_all().await;
        result
    }
}

impl<H> std::fmt::Debug for Runner<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Finds or creates the topics of each source. False when it was told to stop.
async fn prepare<H>(shared: &Shared<H>, stop: &CancellationToken) -> Result<bool, Error> {
    for source in shared.names.sources() {
        match shared.topology.find(source, stop).await {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(false),
            // Whoever makes it may come later; its other topics are then made with it.
            Err(error @ Error::MissingSource { .. }) => tracing::warn!(%error, "waiting for it"),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The members of the group and of that for retries.
fn members<H: Handler>(
    options: &KafkaOptions,
    settings: &Settings,
    shared: &Arc<Shared<H>>,
) -> Result<[Member<H>; 2], Error> {
    let names = &shared.names;
    let consumer = |group: String, topics: Vec<String>| ConsumerSettings {
        instance_id: settings.instance_id.clone(),
        revoke_deadline: settings.revoke_deadline,
        commit_interval: settings.commit_interval,
        max_poll_interval: settings.max_poll_interval,
        ..ConsumerSettings::new(group, topics)
    };
    let sources = consumer(settings.group.clone(), settings.topics.clone());
    let retries = consumer(
        names.retry_group(),
        names.retry_topics().map(str::to_owned).collect(),
    );
    let shares = Shares::new(settings.max_in_flight_bytes, settings.concurrency);
    let member = |consumer: &ConsumerSettings| {
        Member::start(
            options,
            consumer,
            settings.stop_deadline,
            Arc::clone(shared),
            Arc::clone(&shares),
        )
    };
    Ok([member(&sources)?, member(&retries)?])
}

/// Runs until all have ended, and with them what deals with records that wait; the first error stops the others.
async fn run_members<H: Handler>(
    members: [Member<H>; 2],
    shared: &Arc<Shared<H>>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let mut running = JoinSet::new();
    for member in members {
        let stop = stop.clone();
        running.spawn(async move { member.run(&stop).await });
    }
    match &shared.ordering {
        Ordering::None => {}
        Ordering::Key(order) => {
            let (order, shared, stop) = (Arc::clone(order), Arc::clone(shared), stop.clone());
            running.spawn(async move {
                let heads = Arc::new(Heads::new(Arc::clone(&shared), stop.clone()));
                let stopped = Box::pin(stop.cancelled_owned());
                let drained = order.drain(shared.names.group(), heads, stopped).await;
                drained.map_err(Error::from)
            });
        }
    }
    let mut result = Ok(());
    while let Some(ended) = running.join_next().await {
        stop.cancel();
        result = result.and(ended.map_err(Error::Task).flatten());
    }
    result
}

/// What has grown by headers is refused by a topic, not by its sender. And a producer that has forgotten every broker,
/// which only its statistics show, is to be replaced.
fn for_publishing(options: &KafkaOptions) -> KafkaOptions {
    let mut options = options.clone();
    for (property, value) in [
        ("message.max.bytes", LARGEST_RECORD),
        ("statistics.interval.ms", STATISTICS_INTERVAL_MS),
    ] {
        if !options.client.contains_key(property) {
            let chosen = options.producer.entry(property.into());
            chosen.or_insert_with(|| value.into());
        }
    }
    options
}
