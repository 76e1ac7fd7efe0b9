//! What of the topics a consumer reads.

/// Kafka's `isolation.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Records of committed transactions, and those outside of any: `read_committed`.
    #[default]
    Committed,
    /// Aborted and undecided ones too: `read_uncommitted`.
    Everything,
}

impl Isolation {
    pub(crate) fn level(self) -> &'static str {
        match self {
            Self::Committed => "read_committed",
            Self::Everything => "read_uncommitted",
        }
    }
}
