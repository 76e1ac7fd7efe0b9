//! What is written is read again, whoever wrote it, and nothing grows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod foreign;
mod hops;
mod hostile;
mod ours;
mod records;
