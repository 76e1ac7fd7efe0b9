//! An event that was accepted and not answered for.

use std::time::Instant;

use cdc_kafka::Place;
use metrics::{counter, histogram};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::SendError;
use crate::event::Event;
use crate::metric;
use crate::record::Record;

/// Where an event is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// In Kafka, acknowledged by all in-sync replicas.
    Sent(Place),
    /// In the outbox, committed: the relay delivers it.
    Stored,
}

/// An event that was accepted and not answered for.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) event: Event,
    pub(crate) record: Record,
    pub(crate) asked_at: Instant,
    pub(crate) reply: oneshot::Sender<Result<Placed, SendError>>,
    /// Its part of the buffer.
    pub(crate) _room: OwnedSemaphorePermit,
}

impl Pending {
    /// Answers for it. Whoever asked may have gone.
    pub(crate) fn end(self, result: Result<Placed, SendError>) {
        let outcome = match &result {
            Ok(Placed::Sent(_)) => "sent",
            Ok(Placed::Stored) => "stored",
            Err(SendError::Invalid(_) | SendError::Refused(_)) => "refused",
            Err(SendError::Busy { .. } | SendError::NotStored { .. } | SendError::Closed) => {
                "failed"
            }
        };
        counter!(metric::EVENTS, metric::OUTCOME => outcome).increment(1);
        histogram!(metric::SEND_SECONDS).record(self.asked_at.elapsed());
        drop(self.reply.send(result));
    }
}
