//! A record that waits without having failed.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use cdc_event::{Attempt, Fate, Handler, HandlerError, Unfinished};

use super::context::{Context, Order};
use super::{Job, NotBefore, NotDone};
use crate::plan::{Tier, Wait, Waiting};

/// What became of a record that is to wait.
pub(super) enum Waited {
    /// It has waited: it may be tried.
    Here,
    /// It waits in a retry topic, or where its key waits for it, with what is left of it.
    Elsewhere(Vec<Unfinished>),
    /// It has waited for so long that this is a failure.
    TooLong(HandlerError),
}

impl<H: Handler> Context<H> {
    /// Has a record wait that was not tried, so that it keeps all of its attempts: in a retry topic, or where its key
    /// waits for it; in its place if there is neither. What `ends` by itself never takes too long.
    pub(super) async fn wait(
        &self,
        job: &Job,
        error: HandlerError,
        asked: Duration,
        ends: bool,
        now: SystemTime,
    ) -> Result<Waited, NotDone> {
        let first = job.attempt.first_failed_at;
        let waiting = Waiting {
            code: error.code(),
            asked,
            ends,
            // A clock that was set back makes it younger, which ends by itself.
            age: first
                .and_then(|first| now.duration_since(first).ok())
                .unwrap_or_default(),
        };
        let Wait::For { after, tier } = self.shared.plan.wait(&waiting) else {
            return Ok(Waited::TooLong(error));
        };
        match (&self.order, tier) {
            (Order::Key(_) | Order::Head, _) => {
                Ok(Waited::Elsewhere(vec![untried(job, error, after, now)]))
            }
            (Order::Loose | Order::Replays(_), Some(tier)) => {
                let delay = self.shared.plan.delay_of(tier);
                let not_before = now.checked_add(after).filter(|_| after > delay);
                self.put_off(job, &error, now, tier, not_before).await?;
                Ok(Waited::Elsewhere(Vec::new()))
            }
            (Order::Loose | Order::Replays(_), None) => {
                if self.pause(after).await {
                    Ok(Waited::Here)
                } else {
                    Err(NotDone::Abandoned)
                }
            }
        }
    }

    /// Whether a record may be tried now that was put off; if not, it goes on waiting in a retry topic. Only what is left
    /// of the time is waited for here: a partition is read no further while it holds many, and the others of it are due.
    pub(super) async fn is_due(&self, job: &Job, not_before: &NotBefore) -> Result<bool, NotDone> {
        let now = SystemTime::now();
        let left = not_before.time.duration_since(now).unwrap_or_default();
        let Some(tier) = self.shared.plan.tier_for_rest(left) else {
            return if self.pause_until(not_before.time).await {
                Ok(true)
            } else {
                Err(NotDone::Abandoned)
            };
        };
        let report = &not_before.report;
        let error = HandlerError::new(report.code.clone(), report.message.clone());
        self.put_off(job, &error, now, tier, Some(not_before.time))
            .await?;
        Ok(false)
    }
}

/// A record as it was before it was put off. Whoever keeps it counts what was tried, which is once at the least.
fn untried(job: &Job, error: HandlerError, after: Duration, now: SystemTime) -> Unfinished {
    let before = job.attempt.number.get() - 1;
    Unfinished {
        part: job.record.part.clone(),
        attempt: Attempt {
            number: NonZeroU32::new(before).unwrap_or(NonZeroU32::MIN),
            ..job.attempt.put_off(now)
        },
        error,
        fate: Fate::Again(after),
        delays: job.waited.map_or(0, Tier::number),
    }
}
