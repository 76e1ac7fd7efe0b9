//! Time from commit to consumer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::event::Event;

/// Whether an event counts towards the latency that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is being broken: the time to the consumer is measured.
    Calm,
    /// Faults or bulk loads are going on: it is not.
    Rough,
}

/// Measures the time between the writer's `COMMIT` returning and the consumer's first sight of the event.
#[derive(Debug, Default)]
pub struct Stopwatch {
    on_the_way: HashMap<Event, (Instant, Phase)>,
    latencies: Vec<Duration>,
    newest_arrived: Option<Instant>,
}

/// How long events took, over those of calm phases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// The median.
    pub p50: Duration,
    /// 99 of 100 took at most this.
    pub p99: Duration,
    /// How many were measured.
    pub count: usize,
}

impl Stopwatch {
    /// `event` was committed at `at` and has not been seen.
    pub fn committed(&mut self, event: Event, at: Instant, phase: Phase) {
        self.on_the_way.insert(event, (at, phase));
    }

    /// `event`, committed at `at`, was seen even before the writer knew of its commit.
    pub fn overtaken(&mut self, at: Instant, phase: Phase) {
        self.arrived(at, at, phase);
    }

    /// `event` was seen for the first time. One that is not measured is ignored.
    pub fn seen(&mut self, event: Event, now: Instant) {
        if let Some((at, phase)) = self.on_the_way.remove(&event) {
            self.arrived(at, now, phase);
        }
    }

    /// The latest commit of which an event has arrived.
    pub fn newest_arrived(&self) -> Option<Instant> {
        self.newest_arrived
    }

    /// The latency of calm phases, so far.
    pub fn latency(&self) -> Latency {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).copied().unwrap_or_default()
        };
        Latency {
            p50: at(50),
            p99: at(99),
            count: sorted.len(),
        }
    }

    fn arrived(&mut self, committed: Instant, now: Instant, phase: Phase) {
        self.newest_arrived = self.newest_arrived.max(Some(committed));
        if phase == Phase::Calm {
            self.latencies
                .push(now.saturating_duration_since(committed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fate, Key, Seq};

    #[test]
    fn percentiles_are_of_calm_events_only() {
        let mut stopwatch = Stopwatch::default();
        let start = Instant::now();
        for n in 1..=100 {
            let event = Event {
                key: Key(0),
                seq: Seq(n),
                fate: Fate::Committed,
            };
            stopwatch.committed(event, start, Phase::Calm);
            stopwatch.seen(event, start + Duration::from_millis(n));
            stopwatch.seen(event, start + Duration::from_secs(9));
        }
        let rough = Event {
            key: Key(1),
            seq: Seq(1),
            fate: Fate::Committed,
        };
        stopwatch.committed(rough, start + Duration::from_secs(1), Phase::Rough);
        stopwatch.seen(rough, start + Duration::from_secs(5));
        let expected = Latency {
            p50: Duration::from_millis(50),
            p99: Duration::from_millis(99),
            count: 100,
        };
        assert_eq!(stopwatch.latency(), expected);
        assert_eq!(
            stopwatch.newest_arrived(),
            Some(start + Duration::from_secs(1))
        );
    }

    #[test]
    fn nothing_measured_is_zero() {
        assert_eq!(Stopwatch::default().latency(), Latency::default());
    }
}
