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
mod gaps;
mod hostile;
mod in_order;
mod lanes;
mod lost;
mod manual;
mod membership;
mod outage;
mod parts;
mod starvation;
mod stopping;
mod stuck;
mod subject;
mod throughput;
mod tiers;
mod waits;

#[expect(dead_code, reason = "the tests of the clients use all of it")]
#[path = "../../../cdc-kafka/tests/it/own_kafka.rs"]
mod own_kafka;
