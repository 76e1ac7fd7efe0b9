//! The relay: outbox → Kafka, for as long as the process lives.
//!
//! ```text
//!  slot ─▶ ReplicationStream ─▶ Pipeline ─▶ Outbound ─▶ Kafka: events, then the checkpoint that speaks of them
//!    ▲                                         │
//!    └─────────────── CommitToken ◀────────────┘ once the checkpoint is there
//! ```
//!
//! Whatever goes wrong, there is one way to go on: end the session, connect anew, stream from the position that the
//! slot has confirmed, and pass over what the checkpoint covers. Nothing is confirmed before Kafka has it.

mod backfill;
mod careful;
mod checkpoint;
mod coverage;
mod error;
mod failure;
mod gap;
mod handover;
mod kafka_side;
mod lineage;
mod notices;
mod open;
mod outbound;
mod park;
mod partition;
mod pipeline;
mod preflight;
mod server_watch;
mod session;
mod slot;
mod stall;
mod topic;
mod topics;
mod walsender;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Backoff, random_fraction};
use cdc_kafka::{KafkaOptions, Limits, TopicSettings};
use cdc_outbox::Encoder;
use pg_lsn::Lsn;
use pg_replication::{ConnectOptions, PublicationName, ReplicationStream, SlotName, SqlState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::careful::Careful;
use self::error::Next;
pub(crate) use self::error::RelayError;
pub(crate) use self::gap::Gap;
use self::open::Beginning;
use self::pipeline::Contract;
use self::server_watch::ServerWatch;
use self::session::RelaySession;
use self::walsender::Walsender;
use crate::config::{Config, OnGap, Poison};
use crate::failure::Failure;
use crate::metric;
use crate::relay_state::{Phase, RelayMetrics, RelayState};

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
    store: ConnectOptions,
    slot: SlotName,
    publication: PublicationName,
    kafka: KafkaOptions,
    limits: Limits,
    topics: TopicSettings,
    /// The first position whose transaction is not to be relayed any more: the relay then ends.
    until: Option<Lsn>,
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
            store: config.at_store().postgres.options(),
            slot: config.relay.slot.clone(),
            publication: config.relay.publication.clone(),
            kafka: config.kafka.options(),
            topics: TopicSettings {
                partitions: config.kafka.topics.partitions,
                replication_factor: config.kafka.topics.replication_factor,
            },
            limits,
            until: None,
            state,
            metrics,
            config,
        }
    }

    /// Ends once Kafka has each transaction whose commit record begins before `lsn`, and none of the others. It does not
    /// wait as a standby, and is not kept from running by slots of another number of shards.
    pub(crate) fn until(mut self, lsn: Lsn) -> Self {
        self.until = Some(lsn);
        self
    }

    /// Relays until `shutdown` is cancelled, or to its end, through every failure that may pass.
    ///
    /// # Errors
    ///
    /// What stays until somebody changes something: see [`RelayError::next`].
    pub(crate) async fn run(&self, shutdown: &CancellationToken) -> Result<(), Failure> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut beginning = Beginning::default();
        let mut streamed = None;
        loop {
            let started = Instant::now();
            let session = self.one_session(shutdown, &mut beginning, &mut streamed);
            let Err(error) = Box::pin(session).await else {
                return Ok(());
            };
            let next = self.next(&error);
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
                    let is_ended = tokio::select! {
                        () = shutdown.cancelled() => return Ok(()),
                        is_ended = self.end(streamed.take()) => is_ended,
                    };
                    if is_ended {
                        FIRST_PAUSE
                    } else if self.until.is_some() {
                        return Err(failure);
                    } else {
                        self.stand_by(&failure);
                        STANDBY_POLL
                    }
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

    /// How rows become records.
    fn contract(&self) -> Result<Contract, RelayError> {
        let config = self.config.outbox.clone();
        Ok(Contract {
            encoder: Encoder::new(config.settings())?,
            config,
            not_null: HashMap::new(),
            shard: self.config.relay.shard,
        })
    }

    fn watch(&self) -> ServerWatch {
        let shard = self.config.relay.shard;
        ServerWatch::start(self.postgres.clone(), self.slot.clone(), shard)
    }

    /// What follows on an error, given the policies for poison and gaps.
    fn next(&self, error: &RelayError) -> Next {
        let relay = &self.config.relay;
        match error {
            // The other gaps are bridged before there is a session.
            RelayError::Gap(Gap::OtherHistory { .. }) if relay.on_gap != OnGap::Fail => {
                Next::Reconnect
            }
            _ if relay.poison == Poison::Park && error.poison().is_some() => Next::Reconnect,
            // Another relay was quicker to make the slot.
            RelayError::Postgres { source, .. }
                if source.sql_state() == Some(SqlState::DUPLICATE_OBJECT) =>
            {
                Next::Reconnect
            }
            _ => error.next(),
        }
    }

    /// One session; `beginning` is how it is to begin, and comes back as the next one is to begin. `streamed` becomes the
    /// server's end of it once it holds the slot.
    async fn one_session(
        &self,
        shutdown: &CancellationToken,
        beginning: &mut Beginning,
        streamed: &mut Option<Walsender>,
    ) -> Result<(), RelayError> {
        // Boxed here, once a session: the futures are large.
        let opened = RelaySession::open(self, std::mem::take(beginning), streamed);
        let opened = Box::pin(opened);
        let mut session = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            session = opened => session?,
        };
        let outcome = Box::pin(session.run(shutdown)).await;
        match outcome {
            Ok(()) => {
                self.state.enter(Phase::Draining);
                let deadline = Instant::now() + self.config.relay.shutdown_deadline.get();
                Box::pin(session.stop(deadline)).await
            }
            Err(error) if self.next(&error) == Next::Stop => {
                self.state.enter(Phase::Draining);
                let deadline = Instant::now() + self.config.relay.shutdown_deadline.get();
                Box::pin(session.stop_short(deadline)).await;
                Err(error)
            }
            Err(error) => {
                if session.may_park(&error).is_some() {
                    beginning.careful = Some(Careful::until(session.reached));
                }
                if let RelayError::Gap(gap) = &error {
                    beginning.gap = Some(gap.clone());
                }
                beginning.refused = session.abandon(PRODUCER_FAREWELL).await;
                Err(error)
            }
        }
    }

    /// Ends what the server keeps of an earlier session of ours, whose connection is lost; `false` if somebody else holds
    /// the slot.
    async fn end(&self, streamed: Option<Walsender>) -> bool {
        let Some(walsender) = streamed else {
            return false;
        };
        match walsender.end(&self.postgres, &self.slot).await {
            Ok(true) => {
                tracing::info!(slot = %self.slot, "took the slot back from a lost connection of this relay");
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::debug!(%error, "whether a lost connection holds the slot is not known");
                false
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

/// Keeps the stream's connection alive without reading, until that ends in an error.
///
/// Cancellation safe.
async fn hold(stream: &mut ReplicationStream, server: &ServerWatch) -> RelayError {
    tokio::select! {
        held = stream.hold() => {
            let Err(source) = held;
            RelayError::Postgres {
                doing: "keep the connection alive",
                source,
            }
        }
        // With a backlog that nobody reads, the stream itself would not notice, and the server would wait for it.
        () = server.stopping() => RelayError::Postgres {
            doing: "keep the connection alive",
            source: pg_replication::Error::ServerStopping,
        },
    }
}
