//! What is done with one record: attempts, and handing it over when they fail.

mod attempt;
mod context;
mod hand_over;
mod settle;

use std::time::SystemTime;

use cdc_event::{Attempt, Failure, Handler, Record};

use self::attempt::{Tried, attempt};
pub(crate) use self::context::{Context, Shared};
use self::settle::settle;
use crate::error::HandlerStopped;
use crate::progress::Ended;

/// A record to be dealt with.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: Record,
    /// The attempt that comes next.
    pub(crate) attempt: Attempt,
    /// Not to be tried before.
    pub(crate) not_before: Option<SystemTime>,
    /// Its number in the store of failed events, if it came from there.
    pub(crate) failed_event: Option<i64>,
}

/// What became of a record.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It succeeded, or others have it durably.
    Done,
    /// It was told to stop: somebody else will do it.
    Abandoned,
    /// The handler cannot go on.
    Fatal(Box<HandlerStopped>),
}

/// Deals with a record to its end. May be dropped at any time: the record is then not done.
pub(crate) async fn run<H: Handler>(context: &Context<H>, job: Job) -> Outcome {
    if let Some(not_before) = job.not_before
        && !Box::pin(context.pause_until(not_before)).await
    {
        return Outcome::Abandoned;
    }
    match attempt(context, &job.record, job.attempt, Sample::First).await {
        Tried::Succeeded => Outcome::Done,
        Tried::Abandoned => Outcome::Abandoned,
        Tried::Failed(failed) => settle(context, job, failed).await,
    }
}

/// Whether an attempt says something about an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sample {
    /// The first of a record does.
    First,
    /// Others say nothing new when they fail.
    Again,
}

/// How a failure counts.
fn ended(failure: &Failure) -> Ended {
    match failure {
        Failure::Transient { .. } => Ended::Transient,
        Failure::Poison { .. } => Ended::Poison,
        Failure::Partial { .. } => Ended::Partial,
        Failure::Fatal { .. } => Ended::Fatal,
    }
}
