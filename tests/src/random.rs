//! Random numbers: seeded for what a test does, fresh for the names it uses.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::time::Duration;

/// SplitMix64: the same seed gives the same run, on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator whose whole sequence follows from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `range`, which must not be empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.bits() % (range.end - range.start)
    }

    /// A duration in `range`, to the microsecond; `range` must not be empty.
    pub fn duration(&mut self, range: Range<Duration>) -> Duration {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.within(micros(range.start)..micros(range.end)))
    }

    /// One of `items`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let index = self.within(0..items.len() as u64);
        items[usize::try_from(index).unwrap_or_default()]
    }
}

/// Bits that no other test and no other process has got.
pub fn entropy() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// `prefix` and twelve random hexadecimal digits: fit for a database, a slot and a topic.
pub fn fresh_name(prefix: &str) -> String {
    format!("{prefix}_{:012x}", entropy() & 0xFFFF_FFFF_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence() {
        let draw = |seed| {
            let mut random = Random::seeded(seed);
            (0..100).map(|_| random.within(5..17)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().all(|n| (5..17).contains(n)));
    }

    #[test]
    fn names_differ() {
        assert_ne!(fresh_name("e2e"), fresh_name("e2e"));
    }
}
