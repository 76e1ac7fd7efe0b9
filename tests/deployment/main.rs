//! What is in `docker/` and `deploy/`, checked without starting any of it: that the files hold together, and speak of
//! settings, metrics and versions that exist. `docker/stack-test` starts it.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a panic")]

mod compose;
mod configuration;
mod files;
mod kubernetes;
mod metrics;
