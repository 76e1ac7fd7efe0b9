//! Against the PostgreSQL server of `DATABASE_URL` or `.services/env`.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says its seed"
)]

mod database;
mod every_step;
mod guard;
mod leases;
mod model;
mod operator;
mod owners;
mod parts;
mod records;
mod scale;
mod scripted;
mod standalone;
mod storm;
mod worker;
