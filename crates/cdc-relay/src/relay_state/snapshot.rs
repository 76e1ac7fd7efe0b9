//! The state of a relay at one moment, as `/status` shows it.

use metrics::gauge;
use serde::{Deserialize, Serialize};

use crate::metric;
use crate::shard::Shard;

/// What the relay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Opening sessions, or waiting before the next try.
    Connecting,
    /// Another process holds the slot; this one takes over when it is free.
    Standby,
    /// Reading the stream.
    Streaming,
    /// Stopping: delivers and confirms what is in flight.
    Draining,
}

/// The newest failure that the relay survived or waits on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastError {
    /// The stable error code.
    pub(crate) code: String,
    /// What happened, in one line.
    pub(crate) message: String,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
    /// True while it still stands.
    pub(crate) current: bool,
}

/// The state at one moment: the body of `/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// The version of the binary.
    pub(crate) version: String,
    /// What the relay is doing.
    pub(crate) phase: Phase,
    /// For how long.
    pub(crate) phase_seconds: f64,
    /// Since the process started.
    pub(crate) uptime_seconds: f64,
    /// Since the last byte from PostgreSQL.
    pub(crate) wire_age_seconds: f64,
    /// Newest position received.
    pub(crate) received_lsn: String,
    /// Newest position confirmed to PostgreSQL.
    pub(crate) confirmed_lsn: String,
    /// Write-ahead log that was received and is not confirmed yet.
    pub(crate) unconfirmed_bytes: u64,
    /// Age of the newest acknowledged commit while something waits, otherwise 0; none before the first commit.
    pub(crate) lag_seconds: Option<f64>,
    /// Records that wait for Kafka.
    pub(crate) in_flight_events: usize,
    /// Bytes that wait for Kafka.
    pub(crate) in_flight_bytes: usize,
    /// True while reading from PostgreSQL pauses because Kafka has to catch up first.
    pub(crate) back_pressure: bool,
    /// Events acknowledged by Kafka since the start.
    pub(crate) events_total: u64,
    /// Transactions that Kafka has whole, since the start.
    pub(crate) transactions_total: u64,
    /// Events a second since the start.
    pub(crate) events_per_second: f64,
    /// False while records wait and Kafka acknowledges none of them, or the relay waits for Kafka as a whole.
    pub(crate) kafka_answers: bool,
    /// The newest failure.
    pub(crate) last_error: Option<LastError>,
    /// Each shard by itself, in order, when this process relays several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) shards: Vec<Snapshot>,
}

/// Why a check answers 503.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unwell {
    /// One sentence.
    pub(crate) reason: String,
}

impl Snapshot {
    /// Sets the gauges, right before they are read.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub(super) fn observe(&self, shard: Option<Shard>) {
        let labels = metric::shard_labels(shard);
        let flag = |is: bool| f64::from(u8::from(is));
        gauge!(metric::WIRE_AGE, &labels).set(self.wire_age_seconds);
        gauge!(metric::UNCONFIRMED, &labels).set(self.unconfirmed_bytes as f64);
        gauge!(metric::IN_FLIGHT_EVENTS, &labels).set(self.in_flight_events as f64);
        gauge!(metric::IN_FLIGHT_BYTES, &labels).set(self.in_flight_bytes as f64);
        gauge!(metric::STREAMING, &labels).set(flag(self.phase == Phase::Streaming));
        gauge!(metric::KAFKA_ANSWERS, &labels).set(flag(self.kafka_answers));
        if let Some(lag) = self.lag_seconds {
            gauge!(metric::LAG, &labels).set(lag);
        }
    }
}

impl Phase {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Connecting => 0,
            Self::Standby => 1,
            Self::Streaming => 2,
            Self::Draining => 3,
        }
    }

    pub(super) const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Standby,
            2 => Self::Streaming,
            3 => Self::Draining,
            _ => Self::Connecting,
        }
    }
}
