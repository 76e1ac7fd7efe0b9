//! Redirect topics against a log in memory. What they do in Kafka is shown where consumers are, in `recovery`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says its seed"
)]

mod model;
mod operator;
