//! What a consumer of the pipeline is to its runner.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::SystemTime;

use crate::failure::Failure;
use crate::record::Record;

/// Something that deals with records, one at a time; everything else (concurrency, order, retries, dead letters,
/// offsets) is the runner's.
///
/// The runner calls it for records of different keys at the same time, and for records of one key in their order.
/// A record may come more than once: after a crash, and when it failed.
///
/// # Cancellation
///
/// The future may be dropped at any await when the process has to stop before it is done, or when its partition is
/// taken away; the record then comes again, here or elsewhere.
///
/// # Example
///
/// ```
/// use cdc_event::{Attempt, ErrorCode, Failure, Handler, HandlerError, Record};
///
/// struct Printer;
///
/// impl Handler for Printer {
///     async fn handle(&self, record: &Record, _: Attempt) -> Result<(), Failure> {
///         let value = record.value.as_deref().unwrap_or_default();
///         let text = std::str::from_utf8(value).map_err(|error| {
///             Failure::poison(HandlerError::new(ErrorCode::from_static("not-text"), "the value is no text").caused_by(error))
///         })?;
///         println!("{}: {text}", record.origin);
///         Ok(())
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Deals with a record, or says why not.
    ///
    /// # Errors
    ///
    /// See [`Failure`]: it decides whether the record is tried again.
    fn handle(
        &self,
        record: &Record,
        attempt: Attempt,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The how-manieth try of a record this is, over all retries and replays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// From 1. One that was only put off ([`Failure::Wait`]) is not counted.
    pub number: NonZeroU32,
    /// When it failed or was put off first; `None` before that.
    pub first_failed_at: Option<SystemTime>,
}

impl<H: Handler> Handler for Arc<H> {
    fn handle(
        &self,
        record: &Record,
        attempt: Attempt,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        (**self).handle(record, attempt)
    }
}

impl Attempt {
    /// The first one.
    pub const FIRST: Self = Self {
        number: NonZeroU32::MIN,
        first_failed_at: None,
    };

    /// The same one, after it was put off at `now`.
    #[must_use]
    pub fn put_off(self, now: SystemTime) -> Self {
        Self {
            first_failed_at: Some(self.first_failed_at.unwrap_or(now)),
            ..self
        }
    }

    /// The one after this one failed, at `now`.
    #[must_use]
    pub fn next(self, now: SystemTime) -> Self {
        Self {
            number: self.number.saturating_add(1),
            first_failed_at: Some(self.first_failed_at.unwrap_or(now)),
        }
    }
}
