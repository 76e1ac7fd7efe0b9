//! What order adds: a record waits for those of its key, and they for it.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use cdc_event::{
    Admission, Backoff, Fate, Handler, HandlerError, Later, OrderDisposition, OrderError,
    PartitionOrder, Record, Replayed, Unfinished, random_fraction,
};
use tokio::time::timeout;

use super::context::{Context, Order};
use super::settle::Settled;
use super::{Job, NotDone};
use crate::plan::Tier;
use crate::topology::causes;

/// No answer for this long: it is asked again.
const SILENCE: Duration = Duration::from_secs(10);

/// A partition that another has is taken away from this member within this time.
const TAKEN_AWAY: Duration = Duration::from_secs(60);

/// Where records wait does not answer.
#[derive(Debug, thiserror::Error)]
#[error("there is no answer")]
struct Silence;

impl<H: Handler> Context<H> {
    /// Whether a record is to be handled now. If not, others have it durably.
    pub(super) async fn is_its_turn(&self, job: &Job) -> Result<bool, NotDone> {
        let Job {
            record,
            attempt,
            failed_event,
            ..
        } = job;
        match &self.order {
            Order::Loose | Order::Head => Ok(true),
            Order::Key(partition) => match self.kept(|| partition.admit(record)).await? {
                Admission::Process => Ok(true),
                Admission::Parked | Admission::DealtWith => Ok(false),
            },
            Order::Replays(order) => {
                let group = self.shared.names.group();
                match self
                    .kept(|| order.replay(group, record, *attempt, *failed_event))
                    .await?
                {
                    Replayed::Unknown => Ok(true),
                    Replayed::Taken => Ok(false),
                }
            }
        }
    }

    /// Puts what is left of a record where its key waits for it.
    pub(super) async fn park(
        &self,
        partition: &dyn PartitionOrder,
        record: &Record,
        left: &[Unfinished],
    ) -> Result<(), NotDone> {
        if left.is_empty() {
            return Ok(());
        }
        self.kept(|| partition.park(record, left)).await
    }

    /// A record that may succeed after a delay: to a retry topic, or to wait in its place.
    pub(super) async fn later(
        &self,
        job: &Job,
        error: HandlerError,
        now: SystemTime,
        tier: Tier,
        not_before: Option<SystemTime>,
    ) -> Settled {
        match &self.order {
            Order::Loose | Order::Replays(_) => {
                let handed_over = self.retry(job, &error, now, tier, not_before).await;
                handed_over.map(|()| Vec::new())
            }
            Order::Key(_) | Order::Head => {
                let asked = not_before.and_then(|time| time.duration_since(now).ok());
                let delay = self.shared.plan.delay_of(tier);
                let fate = Fate::Again(delay.max(asked.unwrap_or_default()));
                Ok(vec![unfinished(job, error, fate, tier.number())])
            }
        }
    }

    /// A record that is not tried again: to the dead letters, and those behind it are told.
    pub(super) async fn give_up(&self, job: &Job, error: HandlerError, now: SystemTime) -> Settled {
        self.dead_letter(job, &error, now).await?;
        Ok(match &self.order {
            Order::Loose | Order::Replays(_) => Vec::new(),
            Order::Key(_) | Order::Head => {
                let delays = self.tier.map_or(0, Tier::number);
                vec![unfinished(job, error, Fate::Dead, delays)]
            }
        })
    }

    /// Asks until there is an answer that says what to do.
    async fn kept<'a, T>(
        &'a self,
        ask: impl Fn() -> Later<'a, Result<T, OrderError>>,
    ) -> Result<T, NotDone> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let mut stuck = None;
        loop {
            let answer = tokio::select! {
                biased;
                answer = timeout(SILENCE, ask()) => answer,
                () = self.grace() => return Err(NotDone::Abandoned),
            };
            let error = match answer {
                Ok(Ok(answer)) => {
                    self.say_kept();
                    return Ok(answer);
                }
                Ok(Err(error)) => error,
                Err(_) => OrderError {
                    disposition: OrderDisposition::Transient,
                    source: Box::new(Silence),
                },
            };
            match error.disposition {
                OrderDisposition::Transient => {}
                // The rebalance that says so is on its way. Without one nobody would ever go on here.
                OrderDisposition::Superseded => {
                    return Err(if self.pause(TAKEN_AWAY).await {
                        NotDone::Order(error)
                    } else {
                        NotDone::Abandoned
                    });
                }
                OrderDisposition::Permanent => return Err(NotDone::Order(error)),
            }
            stuck.get_or_insert_with(|| self.shared.progress.stuck());
            if !self.shared.order_in_trouble.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    group = self.shared.names.group(),
                    error = causes(&error),
                    "records that have to wait for others are not taken: their keys stand still until they are"
                );
            }
            if !self.pause(backoff.next_delay(random_fraction())).await {
                return Err(NotDone::Abandoned);
            }
        }
    }

    fn say_kept(&self) {
        let trouble = &self.shared.order_in_trouble;
        if trouble.load(Ordering::Relaxed) && trouble.swap(false, Ordering::Relaxed) {
            let group = self.shared.names.group();
            tracing::info!(group, "records that have to wait are taken again");
        }
    }
}

fn unfinished(job: &Job, error: HandlerError, fate: Fate, delays: u16) -> Unfinished {
    Unfinished {
        part: job.record.part.clone(),
        attempt: job.attempt,
        error,
        fate,
        delays,
    }
}
