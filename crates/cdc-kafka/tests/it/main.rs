//! The producer and the topics against a real Kafka (`make services-up`), and against librdkafka's
//! mock cluster where a broker has to misbehave.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test stops at what is unexpected"
)]

mod broker_errors;
mod delivery;
mod inspection;
mod limits;
mod outage;
mod reading;
mod setup;
mod topics;
