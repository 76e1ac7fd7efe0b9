//! The modes of the post-service.

use std::fmt;

/// How events get from the database to Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Sent after the commit, in the request.
    Direct,
    /// A row of an outbox that is asked for every second.
    Polling,
    /// Streamed by cdc-relay.
    Cdc,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Polling, Self::Cdc];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Polling => "polling",
            Self::Cdc => "cdc",
        })
    }
}
