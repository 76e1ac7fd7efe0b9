//! How much may be in flight.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How much may be in flight. The record that reaches a limit is still taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of keys, values and headers; at least 1.
    pub max_in_flight_bytes: usize,
    /// Records; at least 1.
    pub max_in_flight_records: usize,
}

impl Default for Limits {
    /// 16 MiB and 50,000 records.
    fn default() -> Self {
        Self {
            max_in_flight_bytes: 16 * 1024 * 1024,
            max_in_flight_records: 50_000,
        }
    }
}

/// How much is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InFlight {
    /// Records.
    pub records: usize,
    /// Bytes of keys, values and headers.
    pub bytes: usize,
}

/// Counts what is in flight.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    records: AtomicUsize,
    bytes: AtomicUsize,
}

impl Gauge {
    pub(super) fn add(&self, bytes: usize) {
        self.records.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(super) fn remove(&self, records: usize, bytes: usize) {
        self.records.fetch_sub(records, Ordering::SeqCst);
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
    }

    pub(super) fn read(&self) -> InFlight {
        InFlight {
            records: self.records.load(Ordering::SeqCst),
            bytes: self.bytes.load(Ordering::SeqCst),
        }
    }

    pub(super) fn is_full(&self, limits: Limits) -> bool {
        let InFlight { records, bytes } = self.read();
        // An idle producer takes anything, or a limit of 0 would stop it for ever.
        records > 0
            && (records >= limits.max_in_flight_records || bytes >= limits.max_in_flight_bytes)
    }

    /// Below three quarters of both limits, so that a sender that waited gets a batch off.
    pub(super) fn has_room(&self, limits: Limits) -> bool {
        let InFlight { records, bytes } = self.read();
        let low_water = |limit: usize| limit - limit / 4;
        records == 0
            || (records < low_water(limits.max_in_flight_records)
                && bytes < low_water(limits.max_in_flight_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_in_flight_bytes: 100,
        max_in_flight_records: 8,
    };

    fn filled(records: usize, bytes_each: usize) -> Gauge {
        let gauge = Gauge::default();
        for _ in 0..records {
            gauge.add(bytes_each);
        }
        gauge
    }

    #[test]
    fn is_full_at_either_limit() {
        assert!(!filled(7, 14).is_full(LIMITS));
        assert!(filled(8, 1).is_full(LIMITS));
        assert!(filled(4, 25).is_full(LIMITS));
    }

    #[test]
    fn has_room_again_only_below_three_quarters_of_both() {
        assert!(filled(5, 14).has_room(LIMITS));
        assert!(!filled(6, 1).has_room(LIMITS));
        assert!(!filled(3, 25).has_room(LIMITS));
    }

    #[test]
    fn room_means_not_full_whatever_the_limits() {
        for max in 0..12 {
            let limits = Limits {
                max_in_flight_bytes: max,
                max_in_flight_records: max,
            };
            for records in 0..14 {
                let gauge = filled(records, 1);
                assert!(
                    !(gauge.has_room(limits) && gauge.is_full(limits)),
                    "{records} of {max}"
                );
                if records == 0 {
                    assert!(
                        gauge.has_room(limits),
                        "would wait for ever with a limit of {max}"
                    );
                }
            }
        }
    }
}
