//! A handler's panic is a failure of its record, not of the process.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// Runs a future; a panic in it comes back as its message.
///
/// Cancellation safe if the future is.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = Box::pin(future);
    poll_fn(move |context| {
        // What the future leaves behind is dropped and never looked at.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(message(panic.as_ref()))),
        }
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_comes_back_as_its_message() {
        assert_eq!(caught(async { 1 }).await, Ok(1));
        let number = 7;
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("number {number}")
        };
        assert_eq!(
            caught::<_>(panicking).await,
            Err::<(), _>("number 7".to_owned())
        );
    }
}
