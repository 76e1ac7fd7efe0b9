//! Deals with heads as a runner would, without a Kafka: calls a handler, and waits between attempts.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    Attempt, ErrorCode, Failure, Fate, Handler, HandlerError, Head, HeadHandler, Later, NotDealt,
    PartDisposition, PartId, Turn, Unfinished,
};

/// How often something is tried, in all, and how long after a failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retries {
    pub(crate) attempts: Option<u32>,
    pub(crate) pause: Duration,
}

pub(crate) struct Standalone<H> {
    pub(crate) handler: Arc<H>,
    pub(crate) retries: Retries,
}

impl Retries {
    /// What is left after an attempt failed.
    pub(crate) fn left(
        self,
        failure: Failure,
        part: Option<&PartId>,
        attempt: Attempt,
    ) -> Result<Vec<Unfinished>, HandlerError> {
        let may_pass = self
            .attempts
            .is_none_or(|attempts| attempt.number.get() < attempts);
        let left = |part: Option<PartId>, error, disposition| {
            let fate = match disposition {
                PartDisposition::Wait { after } | PartDisposition::Underway { after } => {
                    Fate::Again(after)
                }
                PartDisposition::Transient { .. } if may_pass => Fate::Again(self.pause),
                PartDisposition::Transient { .. } | PartDisposition::Poison => Fate::Dead,
            };
            Unfinished {
                part,
                attempt,
                error,
                fate,
                delays: u16::try_from(attempt.number.get()).unwrap(),
            }
        };
        match failure {
            Failure::Transient { error, retry_after } => {
                let disposition = PartDisposition::Transient { retry_after };
                Ok(vec![left(part.cloned(), error, disposition)])
            }
            Failure::Wait { error, after } | Failure::Underway { error, after } => {
                let disposition = PartDisposition::Wait { after };
                Ok(vec![left(part.cloned(), error, disposition)])
            }
            Failure::Poison { error } => {
                Ok(vec![left(part.cloned(), error, PartDisposition::Poison)])
            }
            Failure::Partial { parts } => Ok(parts
                .into_iter()
                .map(|failed| left(Some(failed.part), failed.error, failed.disposition))
                .collect()),
            Failure::Fatal { error } => Err(error),
        }
    }
}

impl<H: Handler> HeadHandler for Standalone<H> {
    fn deal<'a>(&'a self, head: &'a Head) -> Later<'a, Result<Vec<Unfinished>, NotDealt>> {
        Box::pin(async move {
            let failure = match head.turn {
                Turn::Try => match self.handler.handle(&head.record, head.attempt()).await {
                    Ok(()) => return Ok(Vec::new()),
                    Err(failure) => failure,
                },
                Turn::GiveUp => {
                    let code = ErrorCode::from_static("behind-dead-head");
                    Failure::poison(HandlerError::new(code, "one before it was given up"))
                }
            };
            let part = head.record.part.as_ref();
            let left = self.retries.left(failure, part, head.attempt());
            left.map_err(NotDealt::Fatal)
        })
    }
}
