//! A little chance, so that what many processes do does not coincide.

use std::hash::{BuildHasher, RandomState};

/// A fresh number from 0 to 1, for [`Backoff::next_delay`](crate::Backoff::next_delay) and its like.
#[must_use]
pub fn random_fraction() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "any fraction will do")]
    let fraction = random_number() as f64 / u64::MAX as f64;
    fraction
}

/// Any number. Not for secrets.
#[must_use]
pub fn random_number() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_another_one_each_time_and_from_0_to_1() {
        let numbers: Vec<f64> = (0..100).map(|_| random_fraction()).collect();
        assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
        assert!(numbers.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
