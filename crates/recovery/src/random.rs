//! Chance, for delays that should not coincide.

use std::hash::{BuildHasher, RandomState};

/// A fresh number from 0 to 1.
pub(crate) fn fraction() -> f64 {
    let random = RandomState::new().hash_one(());
    #[expect(clippy::cast_precision_loss, reason = "any fraction will do")]
    let fraction = random as f64 / u64::MAX as f64;
    fraction
}
