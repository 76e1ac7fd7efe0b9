//! What the services of the example share.
//!
//! ```text
//!  post-service ──post-create──▶ subscriber-service ──post-notification──▶ cdc-relay notify ──▶ webhook-receiver
//! ```
//!
//! * [`event`] is what the first two tell each other.
//! * [`database`] is the pool of connections, with the tables in place.
//! * [`topic`] makes the topic that both need.
//! * [`service`] runs a service from its start to SIGTERM; [`probe`] asks one whether it is well.
//! * [`problem`] is what a request is answered when it fails.

pub mod database;
pub mod event;
pub mod probe;
pub mod problem;
pub mod service;
pub mod topic;
