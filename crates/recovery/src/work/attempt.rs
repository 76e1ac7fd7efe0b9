//! One attempt.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use cdc_event::{Attempt, ErrorCode, Failure, Handler, HandlerError, Record};
use futures_util::FutureExt;
use tokio::sync::SemaphorePermit;

use super::context::Context;
use super::settle::Failed;
use super::{Sample, ended};
use crate::breaker::{Admission, Sign};
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

/// Permission for an attempt.
type Turn<'a> = (Option<SemaphorePermit<'a>>, Admission<'a>);

/// Calls the handler once, when its turn comes. An attempt that has begun is not interrupted.
pub(super) async fn attempt<H: Handler>(
    context: &Context<H>,
    record: &Record,
    number: Attempt,
    sample: Sample,
) -> Tried {
    let shared = &*context.shared;
    let era = shared.breaker.era();
    let at_once = shared
        .permits
        .try_acquire()
        .ok()
        .filter(|_| !era.is_outage());
    let (permit, admission) = match at_once {
        Some(permit) => (Some(permit), Admission::Usual(era)),
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
    let (era, probe) = admission.into_parts();
    let sign = match &result {
        Ok(Ok(())) => Some(Sign::Success),
        Ok(Err(failure)) => sign_of(failure),
        // A mistake in the handler that this record found is no outage.
        Err(_) => None,
    };
    // Otherwise only the source tells an outage: what is in a retry topic has failed before. And a record fails once.
    let is_news = probe.is_some()
        || context.tier.is_none() && (sample == Sample::First || sign != Some(Sign::Failure));
    if let Some(sign) = sign.filter(|_| is_news) {
        shared.breaker.note(era, sign);
    }
    match result {
        Ok(Ok(())) => {
            shared.progress.attempt(Ended::Success);
            Tried::Succeeded
        }
        Ok(Err(failure)) => {
            shared.progress.attempt(ended(&failure));
            let is_transient = matches!(failure, Failure::Transient { .. });
            let counts = probe.is_none() || !is_transient;
            if let Some(probe) = probe.filter(|_| is_transient) {
                probe.failed();
            }
            Tried::Failed(Failed { failure, counts })
        }
        Err(panic) => {
            shared.progress.attempt(Ended::Panic);
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
            Admission::Usual(era) if era != shared.breaker.era() => {}
            Admission::Usual(_) | Admission::Probe(_) => return (permit, admission),
        }
    }
}

/// What a failure says about an outage.
fn sign_of(failure: &Failure) -> Option<Sign> {
    match failure {
        Failure::Transient { .. } => Some(Sign::Failure),
        Failure::Poison { .. } | Failure::Partial { .. } => Some(Sign::Verdict),
        // It was not even tried, or the handler cannot go on.
        Failure::Wait { .. } | Failure::Underway { .. } | Failure::Fatal { .. } => None,
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
