//! What can go wrong where records wait.

use std::error::Error;
use std::time::Duration;

use crate::failure::HandlerError;
use crate::kafka_position::KafkaPosition;

/// What to do after an [`OrderError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderDisposition {
    /// It may pass: wait and do the same again. Nothing may be passed over meanwhile.
    Transient,
    /// Another member has the partition: leave the record to it.
    Superseded,
    /// It stays until somebody changes something: stop and say so.
    Permanent,
}

/// Where records wait could not do what it was asked for. Whether it did is not known.
#[derive(Debug, thiserror::Error)]
#[error("the order of keys cannot be kept")]
pub struct OrderError {
    /// What to do.
    pub disposition: OrderDisposition,
    /// Why.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// Why a record was not dealt with. It is the head of its key as before, with as many attempts.
#[derive(Debug)]
pub enum NotDealt {
    /// There is no more time: whoever comes next does it, at once.
    Stopped,
    /// It cannot be done now: not before this has passed.
    NotNow(Duration),
    /// The handler cannot go on at all.
    Fatal(HandlerError),
}

/// Why records that wait are no longer dealt with.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// Where they wait.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The handler cannot go on.
    #[error("the handler cannot go on at {origin}")]
    Handler {
        /// The record.
        origin: KafkaPosition,
        /// What the handler said.
        #[source]
        error: HandlerError,
    },
}
