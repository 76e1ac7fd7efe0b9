//! Who a transactional producer is, and how long its transactions may stay open.

use std::fmt;
use std::time::Duration;

/// The name under which Kafka fences transactional producers: opening one ends every older one of the name.
///
/// Kafka sees this name followed by `-0` and `-1`; permissions must be granted for both, for example as a
/// prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TransactionalId(Box<str>);

/// A text that is no [`TransactionalId`]: it is empty, or has a NUL in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a transactional id must not be empty or have a NUL in it")]
pub struct InvalidTransactionalId;

/// After how long without an end the brokers abort a transaction, and fence its producer.
///
/// It bounds how long one that died can hold up readers of committed records. From 1 s to what the brokers
/// allow (`transaction.max.timeout.ms`, by default 15 minutes); they refuse more when the producer is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionTimeout(u32);

/// A duration that is no [`TransactionTimeout`]: under 1 s or over 24 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a transaction timeout must be between 1 s and 24 days")]
pub struct InvalidTransactionTimeout;

impl TransactionalId {
    /// Takes a name that is not empty.
    ///
    /// # Errors
    ///
    /// [`InvalidTransactionalId`].
    pub fn new(name: impl Into<Box<str>>) -> Result<Self, InvalidTransactionalId> {
        let name = name.into();
        if name.is_empty() || name.contains('\0') {
            return Err(InvalidTransactionalId);
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransactionalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TransactionTimeout {
    /// 15 s.
    pub const DEFAULT: Self = Self(15_000);

    const MIN_MILLISECONDS: u32 = 1_000;
    const MAX_MILLISECONDS: u32 = i32::MAX as u32;

    /// Takes a duration, in whole milliseconds.
    ///
    /// # Errors
    ///
    /// [`InvalidTransactionTimeout`].
    pub fn new(timeout: Duration) -> Result<Self, InvalidTransactionTimeout> {
        match u32::try_from(timeout.as_millis()) {
            Ok(milliseconds @ Self::MIN_MILLISECONDS..=Self::MAX_MILLISECONDS) => {
                Ok(Self(milliseconds))
            }
            _ => Err(InvalidTransactionTimeout),
        }
    }

    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }

    pub(crate) const fn milliseconds(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_an_id_that_librdkafka_would_take_for_none() {
        for name in ["", "a\0b", "\0"] {
            assert_eq!(TransactionalId::new(name), Err(InvalidTransactionalId));
        }
        assert_eq!(TransactionalId::new("relay").unwrap().as_str(), "relay");
    }

    #[test]
    fn refuses_a_timeout_that_librdkafka_would_not_take() {
        for timeout in [
            Duration::ZERO,
            Duration::from_millis(999),
            Duration::from_millis(1 << 31),
            Duration::MAX,
        ] {
            assert_eq!(
                TransactionTimeout::new(timeout),
                Err(InvalidTransactionTimeout)
            );
        }
        let second = Duration::from_secs(1);
        assert_eq!(TransactionTimeout::new(second).unwrap().get(), second);
        assert_eq!(TransactionTimeout::DEFAULT.get(), Duration::from_secs(15));
    }
}
