//! Records that others of their key wait for.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    ErrorCode, Failure, Handler, HandlerError, Head, HeadHandler, Later, NotDealt, Turn, Unfinished,
};
use tokio_util::sync::CancellationToken;

use super::attempt::{Tried, attempt};
use super::context::{Context, Order, Shared};
use super::settle::{Failed, settle};
use super::{Job, NotDone, Sample};
use crate::plan::Tier;
use crate::topology::causes;

/// So many attempts in a row that nobody came back from are enough: the record kills whoever handles it.
const MOST_LOST: u32 = 5;

/// A topic that this runner does not read is looked at again after this.
const NOT_READ: Duration = Duration::from_secs(60);

/// The code of a record that kills whoever handles it.
const LOST: ErrorCode = ErrorCode::from_static("worker-lost");

/// The code of a record that was never tried, since the one before it was given up.
const BEHIND: ErrorCode = ErrorCode::from_static("behind-dead-head");

/// Deals with the first record of a key that waits.
pub(crate) struct Heads<H> {
    shared: Arc<Shared<H>>,
    /// No new attempts.
    stop: CancellationToken,
}

impl<H: Handler> Heads<H> {
    pub(crate) const fn new(shared: Arc<Shared<H>>, stop: CancellationToken) -> Self {
        Self { shared, stop }
    }

    async fn attempt(&self, head: &Head) -> Result<Vec<Unfinished>, NotDealt> {
        let context = self.context(head).await?;
        let job = Job {
            record: head.record.clone(),
            attempt: head.attempt(),
            waited: context.tier,
            not_before: None,
            failed_event: None,
        };
        let failed = match verdict(head) {
            Some(failed) => failed,
            None => match attempt(&context, &job.record, job.attempt, Sample::First).await {
                Tried::Succeeded => return Ok(Vec::new()),
                Tried::Abandoned => return Err(NotDealt::Stopped),
                Tried::Failed(failed) => failed,
            },
        };
        settle(&context, job, failed).await.map_err(not_dealt)
    }

    /// As if it had been read from the retry topic whose delay it has waited through.
    async fn context(&self, head: &Head) -> Result<Context<H>, NotDealt> {
        let origin = &head.record.origin;
        let sources = self.shared.names.sources();
        let Some(source) = sources.iter().find(|source| source.topic == origin.topic) else {
            tracing::debug!(%origin, "waits, since its topic is not read here");
            return Err(NotDealt::NotNow(NOT_READ));
        };
        let route = match self.shared.topology.wait_for(source, &self.stop).await {
            Ok(Some(route)) => route,
            Ok(None) => return Err(NotDealt::Stopped),
            Err(error) => {
                tracing::debug!(%origin, error = causes(&error), "waits, since its topics are not known");
                return Err(NotDealt::NotNow(NOT_READ));
            }
        };
        let waited = usize::from(head.delays);
        Ok(Context {
            shared: Arc::clone(&self.shared),
            route,
            tier: waited.checked_sub(1).map(Tier::of_index),
            partition: origin.partition,
            order: Order::Head,
            stop: self.stop.clone(),
        })
    }
}

impl<H: Handler> HeadHandler for Heads<H> {
    fn deal<'a>(&'a self, head: &'a Head) -> Later<'a, Result<Vec<Unfinished>, NotDealt>> {
        Box::pin(self.attempt(head))
    }
}

/// Why a record is given up without an attempt, if it is.
fn verdict(head: &Head) -> Option<Failed> {
    let error = match head.turn {
        Turn::GiveUp => HandlerError::new(
            BEHIND,
            "an earlier record of its key was given up, and those that waited for it with it",
        ),
        Turn::Try if head.abandoned >= MOST_LOST => {
            let lost = head.abandoned;
            HandlerError::new(
                LOST,
                format!("{lost} attempts in a row never came to an end"),
            )
        }
        Turn::Try => return None,
    };
    Some(Failed {
        failure: Failure::poison(error),
        counts: true,
    })
}

fn not_dealt(error: NotDone) -> NotDealt {
    match error {
        NotDone::Abandoned => NotDealt::Stopped,
        NotDone::Handler(stopped) => NotDealt::Fatal(stopped.error),
        NotDone::Order(error) => {
            // Heads are put back by whoever asks, never from here.
            tracing::debug!(error = causes(&error), "a record waits on");
            NotDealt::NotNow(NOT_READ)
        }
    }
}
