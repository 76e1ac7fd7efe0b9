//! Dead letters against a real PostgreSQL (`DATABASE_URL`, as `make services-up` provides it).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerting;
mod database;
mod foreign;
mod heard;
mod ingesting;
mod letters;
mod outage;
mod round_trip;
mod webhooks;
