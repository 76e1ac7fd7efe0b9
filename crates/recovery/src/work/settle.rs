//! A record whose attempt failed.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use cdc_event::{
    Attempt, FailedPart, Failure, Handler, HandlerError, PartDisposition, Record, Unfinished,
};
use futures_util::{StreamExt, stream};

use super::attempt::{Tried, attempt};
use super::context::Context;
use super::wait::Waited;
use super::{Job, NotDone, Sample};
use crate::error::HandlerStopped;
use crate::plan::{Failing, Step};
use cdc_event::random_fraction;

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// False when it was made to find out whether an outage is over.
    pub(super) counts: bool,
}

/// Parts of one record that are handed over at the same time.
const PARTS_AT_ONCE: usize = 16;

/// What is left of a record that has been dealt with as far as it can be now: nothing, unless its key waits for it.
pub(super) type Settled = Result<Vec<Unfinished>, NotDone>;

/// Tries again or hands over, until the record is done, or has to wait where its key waits for it. Boxed: most records
/// need none of this.
pub(super) fn settle<'a, H: Handler>(
    context: &'a Context<H>,
    mut job: Job,
    first: Failed,
) -> Pin<Box<dyn Future<Output = Settled> + Send + 'a>> {
    Box::pin(async move {
        let mut failures_here = 0;
        let mut failed = first;
        loop {
            let now = SystemTime::now();
            let ends = matches!(failed.failure, Failure::Underway { .. });
            let (error, retry_after) = match failed.failure {
                Failure::Transient { error, retry_after } => (error, retry_after),
                Failure::Wait { error, after } | Failure::Underway { error, after } => {
                    match context.wait(&job, error, after, ends, now).await? {
                        Waited::Elsewhere(left) => return Ok(left),
                        Waited::TooLong(error) => (error, Some(after)),
                        Waited::Here => {
                            job.attempt = job.attempt.put_off(now);
                            match again(context, &job).await? {
                                Some(next) => failed = next,
                                None => return Ok(Vec::new()),
                            }
                            continue;
                        }
                    }
                }
                Failure::Poison { error } => return context.give_up(&job, error, now).await,
                Failure::Partial { parts } => return settle_parts(context, job, parts, now).await,
                Failure::Fatal { error } => return Err(stopped(&job, error)),
            };
            failures_here += u32::from(failed.counts);
            // In an outage nothing is handed over: it waits until one of those that wait succeeds.
            let step = if !failed.counts || context.shared.breaker.is_open() {
                Step::Here {
                    after: Duration::ZERO,
                }
            } else {
                let failing = Failing {
                    tier: job.waited,
                    failures_here,
                    is_part: job.record.part.is_some(),
                    code: error.code(),
                    retry_after,
                    first_failed_at: job.attempt.first_failed_at.unwrap_or(now),
                    now,
                };
                context.shared.plan.step(&failing, random_fraction())
            };
            match step {
                Step::Here { after } => {
                    if !context.pause(after).await {
                        return Err(NotDone::Abandoned);
                    }
                }
                Step::Tier { tier, not_before } => {
                    return context.later(&job, error, now, tier, not_before).await;
                }
                Step::DeadLetter => return context.give_up(&job, error, now).await,
                Step::Stop => return Err(stopped(&job, error)),
            }
            if failed.counts {
                job.attempt = job.attempt.next(now);
            }
            match again(context, &job).await? {
                Some(next) => failed = next,
                None => return Ok(Vec::new()),
            }
        }
    })
}

/// One more attempt; `None` when it succeeded.
async fn again<H: Handler>(context: &Context<H>, job: &Job) -> Result<Option<Failed>, NotDone> {
    match attempt(context, &job.record, job.attempt, Sample::Again).await {
        Tried::Succeeded => Ok(None),
        Tried::Abandoned => Err(NotDone::Abandoned),
        Tried::Failed(failed) => Ok(Some(failed)),
    }
}

/// Each part goes on as a record of its own.
async fn settle_parts<H: Handler>(
    context: &Context<H>,
    job: Job,
    mut parts: Vec<FailedPart>,
    now: SystemTime,
) -> Settled {
    // A name that comes twice is one part: it would be done twice.
    parts.sort_by(|one, other| one.part.cmp(&other.part));
    parts.dedup_by(|one, other| one.part == other.part);
    let job = &job;
    let settled = stream::iter(parts).map(
        |FailedPart {
             part,
             error,
             disposition,
         }| {
            let record = Record {
                part: Some(part),
                ..job.record.clone()
            };
            let first_failed_at = job.attempt.first_failed_at.or(Some(now));
            let attempt = Attempt {
                first_failed_at,
                ..job.attempt
            };
            let job = Job {
                record,
                attempt,
                not_before: None,
                ..*job
            };
            let failure = match disposition {
                PartDisposition::Transient { retry_after } => {
                    Failure::Transient { error, retry_after }
                }
                PartDisposition::Wait { after } => Failure::Wait { error, after },
                PartDisposition::Underway { after } => Failure::Underway { error, after },
                PartDisposition::Poison => Failure::Poison { error },
            };
            settle(
                context,
                job,
                Failed {
                    failure,
                    counts: true,
                },
            )
        },
    );
    let settled = settled.buffer_unordered(PARTS_AT_ONCE);
    settled
        .fold(Ok(Vec::new()), async |all, one| both(all, one))
        .await
}

fn stopped(job: &Job, error: HandlerError) -> NotDone {
    NotDone::Handler(Box::new(HandlerStopped {
        origin: job.record.origin.clone(),
        error,
    }))
}

/// What is left of both. Of reasons why not, the one that ends more counts.
fn both(one: Settled, other: Settled) -> Settled {
    match (one, other) {
        (Ok(mut left), Ok(more)) => {
            left.extend(more);
            Ok(left)
        }
        (Err(NotDone::Abandoned), Err(other)) => Err(other),
        (Err(error), _) | (Ok(_), Err(error)) => Err(error),
    }
}
