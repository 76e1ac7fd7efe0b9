//! Notices a producer that delivers nothing although Kafka is well.
//!
//! librdkafka forgets a partition for good when a broker was fenced for a moment and its metadata said "no leader"
//! (confluentinc/librdkafka issue 5430): records then wait for ever. Silence alone says nothing, since Kafka may be
//! away for hours; but when a fresh client sees a leader for every partition, and still nothing is delivered for
//! a while, only a new producer helps. Pure: time is given.

use std::time::Duration;

use tokio::time::Instant;

/// Without a delivery for this long, Kafka is asked how it is; and when it is well, it gets this long to deliver.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to think of a look at Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Wait on.
    Patience,
    /// Kafka has been well for long enough: the producer is to blame.
    Stalled,
}

#[derive(Debug)]
pub(super) struct StallWatch {
    next_look: Instant,
    /// Since when Kafka was seen to be well while nothing was delivered.
    well_since: Option<Instant>,
}

impl StallWatch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next_look: now + PATIENCE,
            well_since: None,
        }
    }

    /// Something was delivered, or nothing is to be delivered.
    pub(super) fn progressed(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// When to look at Kafka, unless something is delivered before.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Kafka was looked at: `well` if every partition that matters has a leader.
    pub(super) fn looked(&mut self, well: bool, now: Instant) -> Verdict {
        self.next_look = now + PATIENCE;
        if !well {
            self.well_since = None;
            return Verdict::Patience;
        }
        let since = *self.well_since.get_or_insert(now);
        if now - since >= PATIENCE {
            Verdict::Stalled
        } else {
            Verdict::Patience
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_of_any_length_is_waited_for() {
        let mut now = Instant::now();
        let mut watch = StallWatch::new(now);
        for _ in 0..1000 {
            now = watch.next_look();
            assert_eq!(watch.looked(false, now), Verdict::Patience);
        }
        now = watch.next_look();
        assert_eq!(
            watch.looked(true, now),
            Verdict::Patience,
            "it needs time to deliver"
        );
    }

    #[test]
    fn kafka_that_is_well_while_nothing_is_delivered_is_a_stall() {
        let mut watch = StallWatch::new(Instant::now());
        assert_eq!(watch.looked(true, watch.next_look()), Verdict::Patience);
        assert_eq!(watch.looked(true, watch.next_look()), Verdict::Stalled);
    }

    #[test]
    fn a_delivery_starts_all_over() {
        let mut watch = StallWatch::new(Instant::now());
        let look = watch.next_look();
        watch.looked(true, look);
        watch.progressed(look);
        assert_eq!(watch.next_look(), look + PATIENCE);
        assert_eq!(watch.looked(true, watch.next_look()), Verdict::Patience);
    }
}
