//! One attempt.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use cdc_event::{Attempt, ErrorCode, Failure, Handler, HandlerError, Record};
use futures_util::FutureExt;
use tokio::sync::SemaphorePermit;

use super::context::Context;
use super::settle::Failed;
use super::{Sample, ended};
use crate::breaker::{Admission, Probe};
use crate::progress::Ended;

/// The code of a handler that panicked.
const PANICKED: ErrorCode = ErrorCode::from_static("handler-panicked");

/// How an attempt ended.
pub(super) enum Tried {
    Succeeded,
    Failed(Failed),
    /// It was told to stop before it began.
    Abandoned,
}

/// Permission for an attempt, and its task in an outage.
type Turn<'a> = (Option<SemaphorePermit<'a>>, Option<Probe<'a>>);

/// Calls the handler once, when its turn comes. An attempt that has begun is not interrupted.
pub(super) async fn attempt<H: Handler>(
    context: &Context<H>,
    record: &Record,
    number: Attempt,
    sample: Sample,
) -> Tried {
    let shared = &*context.shared;
    let at_once = shared
        .permits
        .try_acquire()
        .ok()
        .filter(|_| !shared.breaker.is_open());
    let (permit, probe) = match at_once {
        Some(permit) => (Some(permit), None),
        // Boxed: most attempts begin at once, and are to be small.
        None => match Box::pin(turn_unless_stopped(context)).await {
            Some(turn) => turn,
            None => return Tried::Abandoned,
        },
    };
    let call =
        AssertUnwindSafe(async { shared.handler.handle(record, number).await }).catch_unwind();
    let result = call.await;
    drop(permit);
    // Only the source tells an outage: what is in a retry topic has failed before.
    let breaker = context.tier.is_none().then_some(&shared.breaker);
    match result {
        Ok(Ok(())) => {
            shared.progress.attempt(Ended::Success);
            if let Some(breaker) = breaker {
                breaker.note(false);
            }
            if let Some(probe) = probe {
                probe.answered();
            }
            Tried::Succeeded
        }
        Ok(Err(failure)) => {
            shared.progress.attempt(ended(&failure));
            let is_transient = matches!(failure, Failure::Transient { .. });
            let is_news = match failure {
                Failure::Transient { .. } => sample == Sample::First,
                // It was not even tried.
                Failure::Wait { .. } | Failure::Underway { .. } => false,
                Failure::Poison { .. } | Failure::Partial { .. } | Failure::Fatal { .. } => true,
            };
            if let Some(breaker) = breaker.filter(|_| is_news) {
                breaker.note(is_transient);
            }
            let counts = probe.is_none() || !is_transient;
            if let Some(probe) = probe {
                settle_probe(probe, &failure);
            }
            Tried::Failed(Failed { failure, counts })
        }
        Err(panic) => {
            shared.progress.attempt(Ended::Panic);
            // A mistake in the handler that this record found is no outage.
            if let Some(probe) = probe {
                probe.failed();
            }
            let error = HandlerError::new(PANICKED, message_of(&*panic));
            Tried::Failed(Failed {
                failure: Failure::transient(error),
                counts: true,
            })
        }
    }
}

/// As [`turn`]; `None` when it was told to stop meanwhile. Cancel safe.
async fn turn_unless_stopped<H>(context: &Context<H>) -> Option<Turn<'_>> {
    tokio::select! {
        biased;
        () = context.stop.cancelled() => None,
        turn = turn(context) => Some(turn),
    }
}

/// Resolves when an attempt may be made, of which there are only so many at the same time. Cancel safe.
async fn turn<H>(context: &Context<H>) -> Turn<'_> {
    let shared = &*context.shared;
    loop {
        let admission = shared.breaker.admit().await;
        // It is never closed.
        let permit = shared.permits.acquire().await.ok();
        match admission {
            Admission::Probe(probe) => return (permit, Some(probe)),
            Admission::Usual if !shared.breaker.is_open() => return (permit, None),
            Admission::Usual => {}
        }
    }
}

/// What a failed probe says about the outage.
fn settle_probe(probe: Probe<'_>, failure: &Failure) {
    match failure {
        Failure::Transient { .. } => probe.failed(),
        // It works well enough to tell this record from others.
        Failure::Poison { .. } | Failure::Partial { .. } => probe.answered(),
        Failure::Wait { .. } | Failure::Underway { .. } | Failure::Fatal { .. } => {}
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "the handler panicked: {}",
        text.unwrap_or("without a message")
    )
}
