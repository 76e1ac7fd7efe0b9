//! What is done with one record: attempts, and handing it over when they fail.

mod attempt;
mod context;
mod hand_over;
mod heads;
mod in_order;
mod settle;
mod wait;

use std::time::SystemTime;

use cdc_event::{Attempt, Failure, Handler, OrderError, Record};
use failure_headers::FailureReport;

use self::attempt::{Tried, attempt};
pub(crate) use self::context::{Context, Order, Shared};
pub(crate) use self::heads::Heads;
use self::settle::{Failed, settle};
use crate::error::HandlerStopped;
use crate::plan::Tier;
use crate::progress::Ended;

/// A record to be dealt with.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: Record,
    /// The attempt that comes next.
    pub(crate) attempt: Attempt,
    /// The last retry topic whose delay it has waited through; `None` before the first.
    pub(crate) waited: Option<Tier>,
    /// Not to be tried before; `None` when it is due. Boxed: most records have none.
    pub(crate) not_before: Option<Box<NotBefore>>,
    /// Its number in the store of failed events, if it came from there.
    pub(crate) failed_event: Option<i64>,
}

/// A record of a retry topic is not to be tried yet.
#[derive(Debug)]
pub(crate) struct NotBefore {
    pub(crate) time: SystemTime,
    /// Why it failed, or was put off.
    pub(crate) report: FailureReport,
}

/// Why a record is not done.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// It was told to stop, or the partition is another's: somebody else will do it.
    Abandoned,
    /// The handler cannot go on.
    Handler(Box<HandlerStopped>),
    /// It cannot be kept in order.
    Order(OrderError),
}

/// Deals with a record to its end: it succeeded, or others have it durably. May be dropped at any time: the record is
/// then not done.
pub(crate) async fn run<H: Handler>(context: &Context<H>, job: Job) -> Result<(), NotDone> {
    if let Some(not_before) = &job.not_before
        && !Box::pin(context.is_due(&job, not_before)).await?
    {
        return Ok(());
    }
    match &context.order {
        Order::Loose | Order::Head => {}
        Order::Key(_) | Order::Replays(_) => {
            if !Box::pin(context.is_its_turn(&job)).await? {
                return Ok(());
            }
        }
    }
    match attempt(context, &job.record, job.attempt, Sample::First).await {
        Tried::Succeeded => Ok(()),
        Tried::Abandoned => Err(NotDone::Abandoned),
        Tried::Failed(failed) => Box::pin(finish(context, job, failed)).await,
    }
}

/// What is done after the first attempt failed.
async fn finish<H: Handler>(context: &Context<H>, job: Job, failed: Failed) -> Result<(), NotDone> {
    match &context.order {
        Order::Loose | Order::Head | Order::Replays(_) => {
            settle(context, job, failed).await.map(drop)
        }
        Order::Key(partition) => {
            let record = job.record.clone();
            let left = settle(context, job, failed).await?;
            context.park(partition.as_ref(), &record, &left).await
        }
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
        Failure::Wait { .. } | Failure::Underway { .. } => Ended::Wait,
        Failure::Poison { .. } => Ended::Poison,
        Failure::Partial { .. } => Ended::Partial,
        Failure::Fatal { .. } => Ended::Fatal,
    }
}
