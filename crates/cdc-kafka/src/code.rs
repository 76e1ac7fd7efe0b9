//! librdkafka's error codes, without rdkafka in the interface.

use std::fmt;

use rdkafka::types::RDKafkaErrorCode;

/// An error code of librdkafka: its own (negative) or a broker's (positive).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KafkaCode(RDKafkaErrorCode);

impl KafkaCode {
    pub(crate) const fn new(code: RDKafkaErrorCode) -> Self {
        Self(code)
    }

    /// The code of an rdkafka error; `Fail` for the few that have none.
    pub(crate) fn of(error: &rdkafka::error::KafkaError) -> Self {
        Self(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
    }

    pub(crate) const fn get(self) -> RDKafkaErrorCode {
        self.0
    }

    /// The number, as the Kafka protocol or `rdkafka.h` has it.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0 as i32
    }
}

impl fmt::Display for KafkaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for KafkaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({})", self.0, self.number())
    }
}

impl std::error::Error for KafkaCode {}
