//! Handlers that say by themselves when a record is done.

use std::future::Future;

use cdc_event::{Attempt, ErrorCode, Failure, Handler, HandlerError, Record};
use tokio::sync::oneshot;

/// Something that takes records now and is done with them later: after a batch was written, or when another system has
/// confirmed.
///
/// A record is done when its [`Acknowledgement`] says so, from whichever task. Until then its offset is not committed,
/// however many behind it are done, and records of its key wait for it. It fails, and is tried again as the
/// [`RetryPlan`](crate::RetryPlan) says, when [`handle`](Self::handle) gives an error before, and when the acknowledgement
/// is dropped.
///
/// # Bounds
///
/// A record that is not acknowledged counts as one that is being handled, of which there are
/// [`Settings::concurrency`](crate::Settings::concurrency) at most, and one of each key. So a batch must not wait for more
/// records than that, and never without a limit of time.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use cdc_event::{Attempt, Failure, Record};
/// use recovery::{Acknowledgement, ManualHandler};
/// use tokio::sync::mpsc;
///
/// type Waiting = (Vec<u8>, Acknowledgement);
///
/// struct Batching(mpsc::Sender<Waiting>);
///
/// impl ManualHandler for Batching {
///     async fn handle(&self, record: &Record, _: Attempt, acknowledgement: Acknowledgement) -> Result<(), Failure> {
///         let value = record.value.clone().unwrap_or_default();
///         // Without a writer the acknowledgement is dropped, and the record comes again.
///         self.0.send((value, acknowledgement)).await.ok();
///         Ok(())
///     }
/// }
///
/// async fn write(mut waiting: mpsc::Receiver<Waiting>) {
///     let mut batch = Vec::new();
///     while let Some(first) = waiting.recv().await {
///         batch.push(first);
///         let more = async {
///             while batch.len() < 100 && let Some(next) = waiting.recv().await {
///                 batch.push(next);
///             }
///         };
///         // Not to wait for a full batch longer than this.
///         tokio::time::timeout(Duration::from_millis(20), more).await.ok();
///         println!("writing {} values", batch.len());
///         for (_, acknowledgement) in batch.drain(..) {
///             acknowledgement.acknowledge();
///         }
///     }
/// }
/// ```
pub trait ManualHandler: Send + Sync + 'static {
    /// Takes a record. What comes of it is told by `acknowledgement`, now or later.
    ///
    /// # Errors
    ///
    /// See [`Failure`]: the record has failed. After it was acknowledged an error says nothing any more.
    ///
    /// # Cancellation
    ///
    /// As of [`Handler`]: the future may be dropped at any await, and the record comes again.
    fn handle(
        &self,
        record: &Record,
        attempt: Attempt,
        acknowledgement: Acknowledgement,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Says what came of one attempt at a record. Dropping it says that the attempt failed, and that another one may succeed.
#[derive(Debug)]
pub struct Acknowledgement(oneshot::Sender<Result<(), Failure>>);

/// Makes a [`Handler`] of a [`ManualHandler`], for a [`Runner`](crate::Runner).
#[derive(Debug)]
pub struct Manual<H>(H);

/// The code of an attempt whose acknowledgement was dropped.
const NOT_ACKNOWLEDGED: ErrorCode = ErrorCode::from_static("not-acknowledged");

impl Acknowledgement {
    /// The record is done. False when that is too late: the attempt had failed, or the record is another process's by now;
    /// it comes, or came, again.
    pub fn acknowledge(self) -> bool {
        self.0.send(Ok(())).is_ok()
    }

    /// Whether it is too late for it to say anything, so that the effect of a batch may leave this record out.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.0.is_closed()
    }

    /// The attempt has failed. False as for [`acknowledge`](Self::acknowledge).
    pub fn fail(self, failure: Failure) -> bool {
        self.0.send(Err(failure)).is_ok()
    }
}

impl<H: ManualHandler> Manual<H> {
    /// A handler whose records are done when `handler` has acknowledged them.
    #[must_use]
    pub const fn new(handler: H) -> Self {
        Self(handler)
    }
}

impl<H: ManualHandler> Handler for Manual<H> {
    async fn handle(&self, record: &Record, attempt: Attempt) -> Result<(), Failure> {
        let (sender, mut told) = oneshot::channel();
        let taken = self
            .0
            .handle(record, attempt, Acknowledgement(sender))
            .await;
        match taken {
            Ok(()) => match told.await {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure::transient(HandlerError::new(
                    NOT_ACKNOWLEDGED,
                    "the acknowledgement was dropped",
                ))),
            },
            Err(failure) => told.try_recv().unwrap_or(Err(failure)),
        }
    }
}
