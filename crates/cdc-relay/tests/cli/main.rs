//! The commands as a user sees them: the real binary against real servers. Needs `make services-up`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, a failed step is a panic"
)]

mod binary;
mod cluster;
mod database;
mod kafka_tools;
mod pooler;
mod running_relay;
mod services;

mod admin;
mod configuration;
mod connection;
mod doctor;
mod emit;
mod endpoints;
mod init;
mod metrics;
mod recover;
mod relay;
mod replay;
mod retention;
mod server_settings;
mod shards;
mod status;
mod stores;
