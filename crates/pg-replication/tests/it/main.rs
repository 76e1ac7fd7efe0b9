//! Sessions against a real PostgreSQL (`DATABASE_URL`, as `make services-up` provides it), against a private one for
//! authentication and TLS, and against scripted servers for what a healthy PostgreSQL never does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod authentication;
mod cluster;
mod hosts;
mod scripted;
mod server_stop;
mod session;
mod slots;
mod strange_servers;
mod streaming;
mod timeline;
