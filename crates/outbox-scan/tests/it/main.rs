//! Scans of a real PostgreSQL (`DATABASE_URL`, as `make services-up` provides it), and of a private one whose transaction
//! ids have wrapped around.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod concurrent;
mod database;
mod filter;
mod reading;
mod refusal;
mod resume;
mod text_form;
mod wraparound;
