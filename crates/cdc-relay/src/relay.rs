//! The relay: outbox → Kafka, for as long as the process lives.
//!
//! ```text
//!  slot ─▶ ReplicationStream ─▶ Pipeline ─▶ OrderedProducer ─▶ Kafka
//!    ▲                           │    ▲                          │
//!    └── CommitToken ◀── Watermark    └──── delivery reports ────┘
//! ```
//!
//! Whatever goes wrong, there is one way to go on: end the session, connect anew, and stream from the position
//! that the slot has confirmed. Nothing is confirmed before Kafka has acknowledged it, so nothing is lost.

mod error;
mod headers;
mod layout;
mod message;
mod metrics;
mod pipeline;
mod preflight;
mod row;
mod session;
mod stall;
mod topic;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::Backoff;
use cdc_kafka::{KafkaOptions, Limits, TopicSettings};
use pg_replication::{ConnectOptions, PublicationName, SlotName};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::error::Next;
pub(crate) use self::error::RelayError;
pub(crate) use self::metrics::RelayMetrics;
use self::session::RelaySession;
use crate::admin::{Phase, RelayState};
use crate::config::Config;
use crate::failure::Failure;
use crate::metric;

/// First and longest pause before a reconnect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often a standby looks whether the slot is free.
const STANDBY_POLL: Duration = Duration::from_millis(500);

/// A session that lived this long was a good one: the next pause is short again.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// How long the old producer may take to go before a new one is made.
const PRODUCER_FAREWELL: Duration = Duration::from_secs(5);

/// What every session is made from.
#[derive(Debug)]
pub(crate) struct Relay {
    config: Config,
    postgres: ConnectOptions,
    slot: SlotName,
    publication: PublicationName,
    kafka: KafkaOptions,
    limits: Limits,
    topics: TopicSettings,
    state: Arc<RelayState>,
    metrics: RelayMetrics,
}

impl Relay {
    /// Takes the configuration; connects to nothing.
    pub(crate) fn new(config: Config, state: Arc<RelayState>, metrics: RelayMetrics) -> Self {
        let limits = Limits {
            max_in_flight_bytes: config.relay.max_in_flight.bytes(),
            ..Limits::default()
        };
        Self {
            postgres: config.postgres.options(),
            slot: config.relay.slot.clone(),
            publication: config.relay.publication.clone(),
            kafka: config.kafka.options(),
            topics: TopicSettings {
                partitions: config.kafka.topics.partitions,
                replication_factor: config.kafka.topics.replication_factor,
            },
            limits,
            state,
            metrics,
            config,
        }
    }

    /// Relays until `shutdown` is cancelled, through every failure that may pass.
    ///
    /// # Errors
    ///
    /// What stays until somebody changes something: see [`RelayError::next`].
    pub(crate) async fn run(&self, shutdown: &CancellationToken) -> Result<(), Failure> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let started = Instant::now();
            let Err(error) = self.one_session(shutdown).await else {
                return Ok(());
            };
            let next = error.next();
            let failure = Failure::from_relay(error, &self.config);
            if shutdown.is_cancelled() {
                tracing::warn!(
                    error = failure.one_line(),
                    "stopped without confirming the last position"
                );
                return Ok(());
            }
            let pause = match next {
                Next::Stop => return Err(failure),
                Next::StandBy => {
                    self.stand_by(&failure);
                    STANDBY_POLL
                }
                Next::Reconnect => {
                    if started.elapsed() >= GOOD_SESSION {
                        backoff.reset();
                    }
                    let pause = backoff.next_delay(random_fraction());
                    self.reconnect_after(pause, &failure);
                    pause
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn one_session(&self, shutdown: &CancellationToken) -> Result<(), RelayError> {
        let mut session = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            session = RelaySession::open(self) => session?,
        };
        let outcome = session.run(shutdown).await;
        match outcome {
            Ok(()) => {
                self.state.enter(Phase::Draining);
                let deadline = Instant::now() + self.config.relay.shutdown_deadline.get();
                session.stop(deadline).await
            }
            Err(error) if error.next() == Next::Stop => {
                self.state.enter(Phase::Draining);
                let deadline = Instant::now() + self.config.relay.shutdown_deadline.get();
                session.stop_short(deadline).await;
                Err(error)
            }
            Err(error) => {
                session.abandon(PRODUCER_FAREWELL).await;
                Err(error)
            }
        }
    }

    fn stand_by(&self, failure: &Failure) {
        if self.state.phase() != Phase::Standby {
            tracing::info!(slot = %self.slot, reason = failure.one_line(), "standby: waiting for the slot");
        }
        self.state.enter(Phase::Standby);
    }

    fn reconnect_after(&self, pause: Duration, failure: &Failure) {
        tracing::warn!(
            code = %failure.code(),
            error = failure.one_line(),
            help = failure.remedy(),
            pause_ms = pause.as_millis(),
            "session lost; connecting again"
        );
        ::metrics::counter!(metric::RECONNECTS, metric::CODE => failure.code().as_str())
            .increment(1);
        self.state.failed(failure);
        self.state.enter(Phase::Connecting);
    }
}

/// From 0 to 1, different in each process: pauses must not coincide.
fn random_fraction() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(std::process::id());
    #[expect(clippy::cast_precision_loss, reason = "any fraction will do")]
    let fraction = random as f64 / u64::MAX as f64;
    fraction
}

/// The error that ended a wait which only an error can end.
fn ended(held: Result<Infallible, pg_replication::Error>) -> RelayError {
    let Err(source) = held;
    RelayError::Postgres {
        doing: "keep the connection alive",
        source,
    }
}
