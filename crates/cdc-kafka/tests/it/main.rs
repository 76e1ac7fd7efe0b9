//! Producers, readers and topics against a real Kafka (`make services-up`), and against librdkafka's
//! mock cluster where a broker has to misbehave.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test stops at what is unexpected"
)]

mod broker_errors;
mod delivery;
mod group;
mod inspection;
mod latest;
mod limits;
mod outage;
mod own_kafka;
mod reading;
mod scanning;
mod setup;
mod silent;
mod silent_cluster;
mod topics;
mod transaction_errors;
mod transaction_faults;
mod transactions;
mod transmitter;
