//! One session: from connecting to the error or stop that ends it.

use std::sync::Arc;
use std::time::Duration;

use cdc_kafka::{OrderedProducer, TopicInfo, TopicOutcome, Topics};
use pg_replication::{Filled, ReplicationStream, Session, StreamEvent, StreamOptions};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::error::{Next, RelayError};
use super::pipeline::{Obstacle, Offered, Pipeline};
use super::stall::{StallWatch, Verdict};
use super::{Relay, ended, preflight};
use crate::admin::Phase;
use crate::failure::Failure;

/// The slot's position is told at most this often: a crash repeats about as much, and a message costs nothing.
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// How long Kafka may take to say whether a topic exists, or to make it.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a topic that is not to be created may be missing, and how often it is looked for meanwhile.
const TOPIC_PATIENCE: Duration = Duration::from_secs(10);
const TOPIC_POLL: Duration = Duration::from_millis(500);

/// The least that PostgreSQL gets to take the last position, however late it is.
const FAREWELL: Duration = Duration::from_millis(200);

/// A slot being relayed. Everything that must survive the cancellation of a step is in here.
#[derive(Debug)]
pub(super) struct RelaySession<'a> {
    relay: &'a Relay,
    stream: ReplicationStream,
    pipeline: Pipeline,
    topics: Topics,
    stall: StallWatch,
    /// An event that could not be taken yet: the next one in order.
    waiting: Option<StreamEvent>,
    /// No new transaction is started.
    stopping: bool,
}

impl<'a> RelaySession<'a> {
    /// Connects both sides and starts the stream.
    pub(super) async fn open(relay: &'a Relay) -> Result<Self, RelayError> {
        let postgres = |doing| move |source| RelayError::Postgres { doing, source };
        let mut session = Session::connect(&relay.postgres)
            .await
            .map_err(postgres("connect to PostgreSQL"))?;
        let config = &relay.config;
        let identity = preflight::check(&mut session, &config.relay, &config.outbox).await?;
        let options = StreamOptions {
            slot: relay.slot.clone(),
            publications: vec![relay.publication.clone()],
            messages: !config.outbox.message_prefixes.is_empty(),
            status_interval: STATUS_INTERVAL,
            silence_limit: config.relay.wire_timeout.get(),
        };
        let stream = ReplicationStream::start(session, &options)
            .await
            .map_err(postgres("start streaming from the slot"))?;
        // Only now: a standby that is refused the slot every half second needs no producer.
        let producer = OrderedProducer::new(&relay.kafka, relay.limits).map_err(|source| {
            RelayError::Kafka {
                doing: "start the Kafka producer",
                source,
            }
        })?;
        tracing::info!(
            slot = %relay.slot,
            publication = %relay.publication,
            system_id = %identity.system_id,
            timeline = %identity.timeline,
            "streaming"
        );
        relay.state.enter(Phase::Streaming);
        Ok(Self {
            relay,
            stream,
            pipeline: Pipeline::new(config.outbox.clone(), producer, relay.metrics.clone()),
            topics: Topics::new(relay.kafka.clone(), TOPIC_TIMEOUT),
            stall: StallWatch::new(Instant::now()),
            waiting: None,
            stopping: false,
        })
    }

    /// Relays until told to stop.
    pub(super) async fn run(&mut self, shutdown: &CancellationToken) -> Result<(), RelayError> {
        loop {
            let (look, waiting) = (self.stall.next_look(), self.has_in_flight());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                step = self.step() => step?,
                () = sleep_until(look), if waiting => {
                    self.look_at_kafka().await?;
                }
            }
        }
    }

    fn has_in_flight(&self) -> bool {
        self.pipeline.producer().in_flight().records > 0
    }

    /// Nothing was delivered for a while: is Kafka away, or has the producer lost its way?
    async fn look_at_kafka(&mut self) -> Result<(), RelayError> {
        let topics = self.pipeline.topics();
        let well = tokio::select! {
            described = self.topics.describe(&topics) => described.is_ok_and(|found| found.iter().all(has_leaders)),
            () = self.pipeline.producer().delivered() => return Ok(()),
            held = self.stream.hold() => return Err(ended(held)),
        };
        match self.stall.looked(well, Instant::now()) {
            Verdict::Patience => Ok(()),
            Verdict::Stalled => Err(RelayError::ProducerStalled),
        }
    }

    /// Takes what has been read, acknowledges what is durable, then waits for more of either.
    ///
    /// Cancellation safe: it waits only with its state in `self`.
    async fn step(&mut self) -> Result<(), RelayError> {
        let obstacle = self.take()?;
        self.settle()?;
        match obstacle {
            None => self.more().await,
            Some(Obstacle::Full) => self.wait_for_room().await,
            Some(Obstacle::UnseenTopic(topic)) => self.look_for(topic).await,
        }
    }

    /// Waits for bytes or, when caught up, delivery reports. With a backlog the reports are taken after each
    /// read anyway; to be woken for each would cost more than the work itself.
    async fn more(&mut self) -> Result<(), RelayError> {
        let behind = self.stream.is_behind();
        let filled = tokio::select! {
            filled = self.stream.fill() => filled,
            () = self.pipeline.producer().delivered(), if !behind => return Ok(()),
        };
        match filled {
            Ok(Filled::Bytes) => self.relay.state.wire_activity(),
            Ok(Filled::Nothing) => {}
            Err(source) => {
                return Err(RelayError::Postgres {
                    doing: "read the stream",
                    source,
                });
            }
        }
        Ok(())
    }

    /// Everything that has been read, up to what is in the way.
    fn take(&mut self) -> Result<Option<Obstacle>, RelayError> {
        loop {
            if self.stopping && self.waiting.is_none() && !self.pipeline.in_transaction() {
                return Ok(None);
            }
            let event = match self.waiting.take() {
                Some(event) => event,
                None => match self
                    .stream
                    .try_next()
                    .map_err(|source| RelayError::Postgres {
                        doing: "stream from the slot",
                        source,
                    })? {
                    Some(event) => event,
                    None => return Ok(None),
                },
            };
            match self.pipeline.offer(event)? {
                Offered::Taken => {}
                Offered::Blocked(event, obstacle) => {
                    self.waiting = Some(event);
                    return Ok(Some(obstacle));
                }
            }
        }
    }

    fn settle(&mut self) -> Result<(), RelayError> {
        let before = self.pipeline.producer().in_flight();
        let settled = self.pipeline.settle(&mut self.stream);
        let in_flight = self.pipeline.producer().in_flight();
        if in_flight.records == 0 || in_flight.records < before.records {
            self.stall.progressed(Instant::now());
        }
        self.relay
            .state
            .progress(self.stream.received(), self.stream.confirmed(), in_flight);
        settled
    }

    /// Waits until a quarter of the producer's bound is free: not for a record at a time.
    async fn wait_for_room(&mut self) -> Result<(), RelayError> {
        while !self.pipeline.has_room() {
            self.delivered().await?;
            self.settle()?;
        }
        Ok(())
    }

    /// Waits for delivery reports, however long that takes, without reading.
    async fn delivered(&mut self) -> Result<(), RelayError> {
        let _unread = self.relay.state.not_reading();
        tokio::select! {
            () = self.pipeline.producer().delivered() => Ok(()),
            held = self.stream.hold() => Err(ended(held)),
        }
    }

    /// Makes sure that a topic is there before the first record goes to it.
    async fn look_for(&mut self, topic: Arc<str>) -> Result<(), RelayError> {
        let _unread = self.relay.state.not_reading();
        tokio::select! {
            found = find_topic(self.relay, &self.topics, &topic) => found?,
            held = self.stream.hold() => return Err(ended(held)),
        }
        self.pipeline.topic_exists(topic);
        Ok(())
    }

    /// Lets go of both sides after an error. The old producer must be gone before a new one sends, or its
    /// records could arrive after newer ones.
    pub(super) async fn abandon(self, limit: Duration) {
        drop(self.stream);
        if !self.pipeline.into_producer().close(limit).await {
            tracing::warn!(
                "the Kafka producer did not end in time; it goes on ending in the background"
            );
        }
    }

    /// Stops at something that stays until somebody deals with it. That may mean to move the slot past it, and so past
    /// everything that is not confirmed: what came before is therefore delivered and confirmed first, as far as that
    /// goes within `deadline`.
    pub(super) async fn stop_short(mut self, deadline: Instant) {
        let drained = timeout_at(deadline, async {
            loop {
                // That a record was refused is known, or makes no difference any more.
                self.settle().ok();
                let producer = self.pipeline.producer();
                if producer.in_flight().records == 0 || producer.fatal().is_some() {
                    return Ok::<(), RelayError>(());
                }
                self.delivered().await?;
            }
        })
        .await;
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(FAREWELL);
        if !matches!(drained, Ok(Ok(()))) || self.stream.close(left).await.is_err() {
            tracing::warn!(
                "the slot may stand before events that are not to blame; to move it by hand would skip them too"
            );
        }
    }

    /// Stops in order: the open transaction is finished, what is in flight is awaited, the position is
    /// confirmed; all within `deadline`. What could not be confirmed is streamed again by the next start.
    pub(super) async fn stop(mut self, deadline: Instant) -> Result<(), RelayError> {
        self.stopping = true;
        let drained = timeout_at(deadline, async {
            while self.pipeline.in_transaction() || self.waiting.is_some() {
                self.step().await?;
            }
            while !self.pipeline.is_idle() {
                self.delivered().await?;
                self.settle()?;
            }
            Ok::<(), RelayError>(())
        })
        .await;
        if let Ok(result) = drained {
            result?;
        } else {
            tracing::warn!(
                records = self.pipeline.producer().in_flight().records,
                "not drained in time; what Kafka has not acknowledged is sent again by the next start"
            );
        }
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(FAREWELL);
        match self.stream.close(left).await {
            Ok(confirmed) => {
                tracing::info!(%confirmed, "stopped; the slot stands at the last confirmed position");
                Ok(())
            }
            Err(source) => Err(RelayError::Postgres {
                doing: "confirm the last position",
                source,
            }),
        }
    }
}

fn has_leaders(topic: &TopicInfo) -> bool {
    match topic {
        TopicInfo::Present { without_leader, .. } => without_leader.is_empty(),
        TopicInfo::Missing { .. } => false,
    }
}

/// Finds or creates the topic, however long Kafka is away.
async fn find_topic(relay: &Relay, topics: &Topics, topic: &str) -> Result<(), RelayError> {
    let mut complained = false;
    loop {
        let error = match ask_for_topic(relay, topics, topic).await {
            Err(error) if error.next() == Next::Reconnect => error,
            done => {
                if complained {
                    relay.state.recovered();
                }
                return done;
            }
        };
        let failure = Failure::from_relay(error, &relay.config);
        if !std::mem::replace(&mut complained, true) {
            tracing::warn!(code = %failure.code(), error = failure.one_line(), help = failure.remedy(), "waiting for Kafka");
        }
        relay.state.failed(&failure);
        tokio::time::sleep(TOPIC_POLL).await;
    }
}

/// Creates the topic if that is wanted, otherwise waits a little for it: a cluster that is just starting denies
/// topics that it has.
async fn ask_for_topic(relay: &Relay, topics: &Topics, topic: &str) -> Result<(), RelayError> {
    let names = [topic.to_owned()];
    let failed = |source| RelayError::Kafka {
        doing: "look for the topic or create it",
        source,
    };
    if relay.config.kafka.topics.create {
        let outcomes = topics.ensure(&names, relay.topics).await.map_err(failed)?;
        if let [TopicOutcome::Created { topic }] = outcomes.as_slice() {
            tracing::info!(
                topic,
                partitions = relay.topics.partitions,
                "created the topic"
            );
        }
        return Ok(());
    }
    let patience = Instant::now() + TOPIC_PATIENCE;
    loop {
        match topics.describe(&names).await.map_err(failed)?.as_slice() {
            [TopicInfo::Missing { topic }] if Instant::now() >= patience => {
                return Err(RelayError::TopicMissing {
                    topic: topic.clone(),
                });
            }
            [TopicInfo::Missing { .. }] => tokio::time::sleep(TOPIC_POLL).await,
            _ => return Ok(()),
        }
    }
}
