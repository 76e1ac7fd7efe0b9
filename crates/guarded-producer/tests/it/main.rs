//! Against a real Kafka and a real PostgreSQL (`make services-up`). Servers that are killed are in the end-to-end tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod direct;
mod fallback;
mod limits;
mod relay;
mod stage;
mod topic;
mod way_back;
