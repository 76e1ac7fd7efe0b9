//! What a running relay says of itself, shared between the pipeline and the admin server.

mod metrics;
mod snapshot;
mod states;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cdc_kafka::InFlight;
use pg_lsn::Lsn;

use crate::error_code::ErrorCode;
use crate::failure::Failure;

pub(crate) use self::metrics::{RelayMetrics, Total};
pub(crate) use self::snapshot::{LastError, Phase, Snapshot, Unwell};
pub(crate) use self::states::RelayStates;

/// With records waiting, no acknowledgement for this long means that Kafka does not answer.
const KAFKA_SILENCE: Duration = Duration::from_secs(5);

/// The live state of a relay. Every method is cheap and never waits, so the pipeline may call it per batch.
#[derive(Debug)]
pub(crate) struct RelayState {
    wire_timeout: Duration,
    metrics: RelayMetrics,
    started: Instant,
    phase: AtomicU8,
    phase_since_ms: AtomicU64,
    wire_ms: AtomicU64,
    received: AtomicU64,
    confirmed: AtomicU64,
    in_flight_records: AtomicUsize,
    in_flight_bytes: AtomicUsize,
    back_pressure: AtomicBool,
    backfilling: AtomicBool,
    /// Events acknowledged when [`RelayState::progress`] was last called.
    acknowledged: AtomicU64,
    /// When Kafka last acknowledged something, or last had nothing to acknowledge.
    kafka_ms: AtomicU64,
    last_error: Mutex<Option<LastError>>,
}

/// While it lives, the relay reads nothing from PostgreSQL on purpose.
#[derive(Debug)]
pub(crate) struct NotReading<'a>(&'a RelayState);

impl Drop for NotReading<'_> {
    fn drop(&mut self) {
        self.0.wire_activity();
        self.0.back_pressure.store(false, Ordering::Relaxed);
    }
}

impl RelayState {
    /// `wire_timeout` is the age of the last byte from PostgreSQL at which a streaming relay counts as dead;
    /// totals are read from `metrics`.
    pub(crate) fn new(wire_timeout: Duration, metrics: RelayMetrics) -> Self {
        Self {
            wire_timeout,
            metrics,
            started: Instant::now(),
            phase: AtomicU8::new(Phase::Connecting.number()),
            phase_since_ms: AtomicU64::new(0),
            wire_ms: AtomicU64::new(0),
            received: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            in_flight_records: AtomicUsize::new(0),
            in_flight_bytes: AtomicUsize::new(0),
            back_pressure: AtomicBool::new(false),
            backfilling: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            kafka_ms: AtomicU64::new(0),
            last_error: Mutex::new(None),
        }
    }

    /// The relay begins something else. Entering [`Phase::Streaming`] counts as wire activity and ends the
    /// current error.
    pub(crate) fn enter(&self, phase: Phase) {
        let before = self.phase.swap(phase.number(), Ordering::Relaxed);
        if before != phase.number() {
            self.phase_since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
        if phase == Phase::Streaming {
            self.in_flight_records.store(0, Ordering::Relaxed);
            self.in_flight_bytes.store(0, Ordering::Relaxed);
            self.wire_activity();
            self.recovered();
        }
    }

    /// Rows of the outbox tables are being read, or no longer are.
    pub(crate) fn backfilling(&self, is: bool) {
        self.backfilling.store(is, Ordering::Relaxed);
    }

    /// The slot is held, and the stream is the only way by which events reach Kafka: rows that it has passed are not
    /// needed any more.
    pub(crate) fn streams_only(&self) -> bool {
        self.phase() == Phase::Streaming && !self.backfilling.load(Ordering::Relaxed)
    }

    /// What the relay is doing.
    pub(crate) fn phase(&self) -> Phase {
        Phase::from_number(self.phase.load(Ordering::Relaxed))
    }

    /// A byte came from PostgreSQL just now.
    pub(crate) fn wire_activity(&self) {
        self.wire_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Nothing is read from PostgreSQL until the guard is dropped, so the wire's age is no sign of death.
    pub(crate) fn not_reading(&self) -> NotReading<'_> {
        self.back_pressure.store(true, Ordering::Relaxed);
        NotReading(self)
    }

    /// Since the last byte from PostgreSQL.
    pub(crate) fn wire_age(&self) -> Duration {
        Duration::from_millis(
            self.now_ms()
                .saturating_sub(self.wire_ms.load(Ordering::Relaxed)),
        )
    }

    /// How far the stream has come in, how far it is confirmed to PostgreSQL, and what waits for Kafka.
    pub(crate) fn progress(&self, received: Lsn, confirmed: Lsn, in_flight: InFlight) {
        self.received.store(received.get(), Ordering::Relaxed);
        self.confirmed.store(confirmed.get(), Ordering::Relaxed);
        self.in_flight_bytes
            .store(in_flight.bytes, Ordering::Relaxed);
        let before = self
            .in_flight_records
            .swap(in_flight.records, Ordering::Relaxed);
        let events = self.metrics.events.get();
        let acknowledged = self.acknowledged.swap(events, Ordering::Relaxed) != events;
        if acknowledged || before == 0 || in_flight.records == 0 {
            self.kafka_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// A failure that the relay goes on after, shown until [`RelayState::recovered`].
    pub(crate) fn failed(&self, failure: &Failure) {
        let error = LastError {
            code: failure.code().as_str().to_owned(),
            message: failure.one_line(),
            at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
            current: true,
        };
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The last failure is over; it stays visible as the last one.
    pub(crate) fn recovered(&self) {
        if let Some(error) = &mut *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
        {
            error.current = false;
        }
    }

    /// The answer of `/healthz`: a restart would help exactly when this is an error. Kafka or PostgreSQL being
    /// away is none: the relay waits for them by itself.
    ///
    /// # Errors
    ///
    /// The relay streams, yet nothing came from PostgreSQL within the limit.
    pub(crate) fn alive(&self) -> Result<(), Unwell> {
        let age = self.wire_age();
        let reading = !self.back_pressure.load(Ordering::Relaxed);
        if self.phase() == Phase::Streaming && reading && age >= self.wire_timeout {
            return Err(Unwell {
                reason: format!(
                    "nothing came from PostgreSQL for {:.1} s (limit {:.1} s)",
                    age.as_secs_f64(),
                    self.wire_timeout.as_secs_f64()
                ),
            });
        }
        Ok(())
    }

    /// The answer of `/readyz`: events flow.
    ///
    /// # Errors
    ///
    /// The relay is not streaming, is not alive, or Kafka does not answer.
    pub(crate) fn ready(&self) -> Result<(), Unwell> {
        self.alive()?;
        match self.phase() {
            Phase::Streaming if self.kafka_answers() => Ok(()),
            Phase::Streaming => Err(Unwell {
                reason: "Kafka does not answer".to_owned(),
            }),
            Phase::Standby => Err(Unwell {
                reason: "standby: another process holds the slot".to_owned(),
            }),
            Phase::Connecting => Err(Unwell {
                reason: "not connected to PostgreSQL".to_owned(),
            }),
            Phase::Draining => Err(Unwell {
                reason: "stopping".to_owned(),
            }),
        }
    }

    /// Everything at once. The values are read one after the other while the relay runs, so they may be a moment
    /// apart.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let confirmed = Lsn::new(self.confirmed.load(Ordering::Relaxed));
        let received = Lsn::new(self.received.load(Ordering::Relaxed));
        let events = self.metrics.events.get();
        let uptime = self.started.elapsed().as_secs_f64();
        let phase_ms = self
            .now_ms()
            .saturating_sub(self.phase_since_ms.load(Ordering::Relaxed));
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            phase: self.phase(),
            phase_seconds: Duration::from_millis(phase_ms).as_secs_f64(),
            uptime_seconds: uptime,
            wire_age_seconds: self.wire_age().as_secs_f64(),
            received_lsn: received.to_string(),
            confirmed_lsn: confirmed.to_string(),
            unconfirmed_bytes: received.bytes_since(confirmed),
            lag_seconds: self.lag().map(|lag| lag.as_secs_f64()),
            in_flight_events: self.in_flight_records.load(Ordering::Relaxed),
            in_flight_bytes: self.in_flight_bytes.load(Ordering::Relaxed),
            back_pressure: self.back_pressure.load(Ordering::Relaxed),
            events_total: events,
            transactions_total: self.metrics.transactions.get(),
            #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
            events_per_second: events as f64 / uptime.max(f64::EPSILON),
            kafka_answers: self.kafka_answers(),
            last_error: self.last_error(),
            shards: Vec::new(),
        }
    }

    /// How far behind the relay is: zero while it streams and nothing waits.
    fn lag(&self) -> Option<Duration> {
        if self.phase() == Phase::Streaming && self.in_flight_records.load(Ordering::Relaxed) == 0 {
            return Some(Duration::ZERO);
        }
        let newest = self.metrics.newest_commit()?;
        Some(SystemTime::now().duration_since(newest).unwrap_or_default())
    }

    fn kafka_answers(&self) -> bool {
        let silent = self
            .now_ms()
            .saturating_sub(self.kafka_ms.load(Ordering::Relaxed));
        let waiting = self.in_flight_records.load(Ordering::Relaxed) > 0;
        let unreachable = self.last_error().is_some_and(|error| {
            error.current && error.code == ErrorCode::KafkaUnreachable.as_str()
        });
        let stuck = waiting && Duration::from_millis(silent) >= KAFKA_SILENCE;
        !(unreachable || stuck)
    }

    fn last_error(&self) -> Option<LastError> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
