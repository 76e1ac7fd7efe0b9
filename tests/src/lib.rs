//! End-to-end and fault-injection tests against real servers.
//!
//! This library is the harness. It drives the binary `cdc-relay` and the SQL functions as a user would, and depends on
//! none of the project's crates, so that it cannot share a mistake with them.
//!
//! ```text
//!  Writer ──commits──▶ PostgreSQL ──▶ Relay (child process) ──▶ Kafka ──▶ Consumer
//!     │                                                                      │
//!     └────── what was promised ──────▶ Journal ◀────── what was seen ───────┘
//! ```
//!
//! A [`Scenario`] bundles the parts; most tests read: make a scenario, write, break something, ask for the [`Verdict`].

pub mod admin;
pub mod app;
pub mod browser;
pub mod chaos;
pub mod checkpoints;
pub mod child;
mod cleanup;
pub mod consumer;
pub mod coupon;
pub mod database;
pub mod delivery;
pub mod event;
pub mod http;
pub mod interrupt;
pub mod journal;
pub mod ledger;
pub mod process;
pub mod progress;
pub mod proxy;
pub mod random;
pub mod receiver;
pub mod relay;
pub mod report;
pub mod scenario;
pub mod services;
pub mod sns;
pub mod stopwatch;
pub mod story;
pub mod topics;
pub mod wait;
pub mod workload;

pub use delivery::Delivery;
pub use ledger::Verdict;
pub use scenario::Scenario;
