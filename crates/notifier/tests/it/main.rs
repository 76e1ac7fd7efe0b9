//! Against a real PostgreSQL and a real HTTP server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attempts;
mod breaker;
mod changes;
mod crash;
mod database;
mod endpoints;
mod fan_out;
mod idempotency;
mod isolation;
mod missed;
mod news;
mod outage;
mod outcomes;
mod overdue;
mod pages;
mod proxy;
mod receiver;
mod stage;
mod store;
