//! Where dead letters go that Kafka does not take.

use std::future::Future;
use std::pin::Pin;

use cdc_event::{HandlerError, Record};
use failure_headers::Failed;

/// A future behind a pointer, so that the trait may stand behind one too.
pub type Kept<'a> = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send + 'a>>;

/// Keeps a dead letter that its topic will never take, as one that is too large with the least of headers: in a store
/// of failed events, for example.
///
/// The offset of the record is committed after it was kept. While that fails, the record's key waits.
pub trait LastResort: Send + Sync + 'static {
    /// Keeps it durably. It may come more than once.
    ///
    /// # Errors
    ///
    /// Whatever happens: it is tried again after a while.
    fn keep<'a>(&'a self, refused: RefusedLetter<'a>) -> Kept<'a>;
}

/// A dead letter that was refused.
#[derive(Debug, Clone, Copy)]
pub struct RefusedLetter<'a> {
    /// The record.
    pub record: &'a Record,
    /// Why it failed.
    pub failed: Failed<'a>,
    /// Why the dead-letter topic does not take it.
    pub refusal: &'a cdc_kafka::Error,
}
