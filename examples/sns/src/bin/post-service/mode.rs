//! The ways from the database to Kafka.

use clap::ValueEnum;

/// How an event gets from the database to Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Sent in the request, after the commit. Lost if Kafka is away, or the process dies in between.
    Direct,
    /// A row of an outbox, which is asked for every second. Not lost; late, and the database is never idle.
    Polling,
    /// A row of cdc.outbox, which cdc-relay takes from the log.
    Cdc,
}
