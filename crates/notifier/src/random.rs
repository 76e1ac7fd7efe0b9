//! A little chance.

use std::hash::{BuildHasher, RandomState};

/// From 0 to 1, another one each time: what many processes do must not coincide.
pub(crate) fn random_fraction() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "any fraction will do")]
    let fraction = random_number() as f64 / u64::MAX as f64;
    fraction
}

/// Any number. Not for secrets.
pub(crate) fn random_number() -> u64 {
    RandomState::new().hash_one(0)
}
