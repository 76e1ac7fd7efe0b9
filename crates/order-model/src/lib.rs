//! What must be true of the order of keys, whatever fails: for the tests of everything that keeps it.
//!
//! A test makes a schedule from a [seed](seeds): failures, crashes, partitions that move, in any order. It tells a
//! [`History`] what the handler did, and the history fails if that may not be.

mod history;
mod random;
mod seeds;

pub use history::{History, Id};
pub use random::Random;
pub use seeds::{Named, seeds};
