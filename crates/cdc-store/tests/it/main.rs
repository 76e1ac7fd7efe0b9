//! The store against a real PostgreSQL (`DATABASE_URL`, as `make services-up` provides it).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod consumers;
mod correcting;
mod database;
mod events;
mod looking;
mod recording;
mod replaying;
