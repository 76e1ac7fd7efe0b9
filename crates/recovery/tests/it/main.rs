//! The runner against a real Kafka (`make services-up`).
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test stops at what is unexpected"
)]

mod attempts;
mod breaker;
mod cluster;
mod crash;
mod dead_letters;
mod hostile;
mod in_order;
mod lanes;
mod manual;
mod membership;
mod parts;
mod stopping;
mod stuck;
mod subject;
mod throughput;
mod tiers;
mod waits;
