//! What the shards of this process say of themselves, together.

use std::sync::Arc;

use super::RelayState;
use super::snapshot::{LastError, Phase, Snapshot, Unwell};
use crate::shard::Shard;

/// The state of each shard that this process relays; of one that is alone, without its number.
#[derive(Debug, Clone)]
pub(crate) struct RelayStates(Vec<(Option<Shard>, Arc<RelayState>)>);

impl RelayStates {
    /// At least one.
    pub(crate) fn new(states: Vec<(Option<Shard>, Arc<RelayState>)>) -> Self {
        Self(states)
    }

    /// As [`RelayState::streams_only`], of all of them.
    pub(crate) fn stream_only(&self) -> bool {
        self.0.iter().all(|(_, state)| state.streams_only())
    }

    /// As [`RelayState::alive`], of all of them.
    ///
    /// # Errors
    ///
    /// The first that is not.
    pub(crate) fn alive(&self) -> Result<(), Unwell> {
        self.each(RelayState::alive)
    }

    /// As [`RelayState::ready`], of all of them.
    ///
    /// # Errors
    ///
    /// The first that is not.
    pub(crate) fn ready(&self) -> Result<(), Unwell> {
        self.each(RelayState::ready)
    }

    fn each(&self, check: impl Fn(&RelayState) -> Result<(), Unwell>) -> Result<(), Unwell> {
        for (shard, state) in &self.0 {
            check(state).map_err(|unwell| match shard {
                Some(shard) => Unwell {
                    reason: format!("shard {shard}: {}", unwell.reason),
                },
                None => unwell,
            })?;
        }
        Ok(())
    }

    /// Sets the gauges of each, right before they are read.
    pub(crate) fn observe(&self) {
        for (shard, state) in &self.0 {
            state.snapshot().observe(*shard);
        }
    }

    /// Sums of what can be added, and otherwise the worst; the shards themselves are in it if there are several.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let all: Vec<Snapshot> = self.0.iter().map(|(_, state)| state.snapshot()).collect();
        #[expect(clippy::expect_used, reason = "it is made with at least one")]
        let mut snapshot = all
            .iter()
            .cloned()
            .reduce(together)
            .expect("there is a shard");
        if all.len() > 1 {
            snapshot.shards = all;
        }
        snapshot
    }
}

/// Two shards as one.
fn together(a: Snapshot, b: Snapshot) -> Snapshot {
    let (slow, fast) = if is_behind(&b, &a) { (b, a) } else { (a, b) };
    let worse = if slow.phase.rank() <= fast.phase.rank() {
        &slow
    } else {
        &fast
    };
    Snapshot {
        phase: worse.phase,
        phase_seconds: worse.phase_seconds,
        wire_age_seconds: slow.wire_age_seconds.max(fast.wire_age_seconds),
        unconfirmed_bytes: slow.unconfirmed_bytes.max(fast.unconfirmed_bytes),
        lag_seconds: match (slow.lag_seconds, fast.lag_seconds) {
            (Some(a), Some(b)) => Some(a.max(b)),
            _ => None,
        },
        in_flight_events: slow.in_flight_events + fast.in_flight_events,
        in_flight_bytes: slow.in_flight_bytes + fast.in_flight_bytes,
        back_pressure: slow.back_pressure || fast.back_pressure,
        events_total: slow.events_total + fast.events_total,
        transactions_total: slow.transactions_total + fast.transactions_total,
        events_per_second: slow.events_per_second + fast.events_per_second,
        kafka_answers: slow.kafka_answers && fast.kafka_answers,
        last_error: newest(slow.last_error.clone(), fast.last_error),
        ..slow
    }
}

fn is_behind(one: &Snapshot, other: &Snapshot) -> bool {
    let confirmed = |snapshot: &Snapshot| snapshot.confirmed_lsn.parse::<pg_lsn::Lsn>().ok();
    confirmed(one) < confirmed(other)
}

/// One that stands comes before one that is over.
fn newest(a: Option<LastError>, b: Option<LastError>) -> Option<LastError> {
    [a, b]
        .into_iter()
        .flatten()
        .max_by_key(|error| (error.current, error.at))
}

impl Phase {
    /// The less, the further from relaying.
    const fn rank(self) -> u8 {
        match self {
            Self::Connecting => 0,
            Self::Standby => 1,
            Self::Draining => 2,
            Self::Streaming => 3,
        }
    }
}
