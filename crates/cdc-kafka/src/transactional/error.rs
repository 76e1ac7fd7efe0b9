//! What a failure means for a transaction.

use rdkafka::error::RDKafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::code::KafkaCode;
use crate::error::Error;

/// Why a transaction was not committed. What may pass by itself has been tried again before.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransactionError {
    /// Nothing of the transaction will be seen. [`abort`](super::TransactionalProducer::abort) it, then
    /// begin another and send again from the last checkpoint.
    #[error("the transaction must be aborted")]
    Abortable(#[source] Error),

    /// A younger producer was opened under the same id, or the brokers ended the transaction because it was
    /// open for too long. Whether it was committed is not known: open a producer, and read the checkpoint.
    #[error(
        "the transactional producer was replaced by a younger one, or its transaction timed out"
    )]
    Fenced(#[source] Error),

    /// The producer is of no more use. Whether the transaction was committed is not known: open a producer,
    /// and read the checkpoint.
    #[error("the transactional producer cannot go on")]
    Fatal(#[source] Error),
}

impl TransactionError {
    /// The failure itself, with its disposition.
    #[must_use]
    pub const fn error(&self) -> &Error {
        match self {
            Self::Abortable(error) | Self::Fenced(error) | Self::Fatal(error) => error,
        }
    }

    /// The failure itself.
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            Self::Abortable(error) | Self::Fenced(error) | Self::Fatal(error) => error,
        }
    }

    /// The error of a producer that is in a fatal state.
    pub(super) fn of_fatal(code: KafkaCode, detail: String) -> Self {
        let error = Error::Fatal { detail, code };
        match code.get() {
            RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch => Self::Fenced(error),
            _ => Self::Fatal(error),
        }
    }
}

/// What librdkafka says may be done about a failed call. What it says nothing of is fatal: so its manual wants it.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// The call goes on in the background, or may be made again.
    Retry(KafkaCode),
    Failed(TransactionError),
}

impl Verdict {
    pub(super) fn of(action: &'static str, error: &RDKafkaError) -> Self {
        let (code, detail) = (KafkaCode::new(error.code()), error.string());
        if error.is_fatal() {
            Self::Failed(TransactionError::of_fatal(code, detail))
        } else if error.is_retriable() {
            Self::Retry(code)
        } else {
            let failed = Error::Transaction {
                action,
                detail,
                code,
            };
            Self::Failed(if error.txn_requires_abort() {
                TransactionError::Abortable(failed)
            } else {
                TransactionError::Fatal(failed)
            })
        }
    }
}
