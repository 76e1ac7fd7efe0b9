//! Events that can't be sent are stored, so that the others can go on.
//!
//! A parked event is committed in `cdc.failed_event` before the watermark or a Kafka transaction passes it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{ChangeIndex, EventId, Headers, Position};
use cdc_kafka::OwnedRecord;
use cdc_outbox::{Event, UnixMillis};
use cdc_store::{Contents, ErrorReport, FailedEvents, NewFailedEvent, Origin, Target};
use pg_replication::StreamEvent;

use super::careful::Careful;
use super::error::{PoisonKind, RelayError};
use super::pipeline::own_position;
use super::session::RelaySession;
use super::{Relay, hold};
use crate::complaints::Complaints;
use crate::config::Poison;
use crate::failure::Failure;
use crate::metric;

/// Between two tries to reach the store.
const PAUSE: Duration = Duration::from_secs(1);

/// An event that can't be sent.
#[derive(Debug)]
pub(super) struct Poisoned {
    pub(super) error: RelayError,
    pub(super) remains: Remains,
}

/// What could be made of an event that can't be sent.
#[derive(Debug, Default)]
pub(super) struct Remains {
    pub(super) id: Option<EventId>,
    /// Where it would go; `None` when no record can be made of it.
    pub(super) target: Option<Target>,
    pub(super) contents: Contents,
}

impl Remains {
    /// Of a record that was refused on its way, and that was sent with this time: librdkafka does not give it back.
    fn of(record: OwnedRecord, sent_at: Option<UnixMillis>) -> Self {
        let mut headers = Headers::new();
        let mut id = None;
        for header in record.headers {
            if header.name.as_ref() == "id" && id.is_none() {
                id = header.value.as_deref().and_then(event_id);
            }
            headers.push(header.name, header.value.map(Vec::from));
        }
        Self {
            id,
            target: Some(Target {
                topic: record.topic.into(),
                partition: None,
            }),
            contents: Contents {
                key: record.key.map(Vec::from),
                payload: record.value.map(Vec::from),
                headers,
                timestamp_ms: sent_at.map(|at| at.0),
            },
        }
    }
}

impl Remains {
    /// Of an event that could not be handed over.
    pub(super) fn of_event(event: &Event<'_>) -> Self {
        let mut headers = Headers::new();
        for header in &event.headers {
            headers.push(
                header.name.as_ref(),
                header.value.as_deref().map(<[u8]>::to_vec),
            );
        }
        Self {
            id: event_id(&event.id),
            target: Some(Target {
                topic: event.topic.to_owned(),
                partition: event.partition.map(|partition| partition.0),
            }),
            contents: Contents {
                key: event.key.as_deref().map(<[u8]>::to_vec),
                payload: event.value.as_deref().map(<[u8]>::to_vec),
                headers,
                timestamp_ms: event.timestamp.map(|at| at.0),
            },
        }
    }

    /// Of something that is no event.
    pub(super) fn of_payload(payload: Vec<u8>) -> Self {
        Self {
            contents: Contents {
                payload: Some(payload),
                ..Contents::default()
            },
            ..Self::default()
        }
    }
}

/// An id as text, if it can be one.
fn event_id(id: &[u8]) -> Option<EventId> {
    EventId::new(std::str::from_utf8(id).ok()?).ok()
}

impl RelaySession<'_> {
    /// An event can't be sent: stops, or parks it and goes on.
    ///
    /// Cancellation safe: an event that is parked twice is one, and stays in its place in the stream until then.
    pub(super) async fn poisoned(
        &mut self,
        Poisoned { error, remains }: Poisoned,
    ) -> Result<(), RelayError> {
        let Some(kind) = self.may_park(&error) else {
            return Err(error);
        };
        self.park(kind, error, remains).await?;
        match self.waiting.take() {
            Some(event) => self.pipeline.pass_over(event, &mut self.outbound),
            None => {
                if let Some(backfill) = &mut self.backfill {
                    backfill.pass_over(&mut self.pipeline)?;
                }
            }
        }
        Ok(())
    }

    /// Something was not taken by Kafka. If it is a record, and the only one under way, it is parked; otherwise the
    /// session ends, and the next one finds out which record it was.
    pub(super) async fn refused(&mut self, error: RelayError) -> Result<(), RelayError> {
        let (Some(_), Some(kind)) = (self.careful, self.may_park(&error)) else {
            return Err(error);
        };
        let error = match self.outbound.take_unsent() {
            Some(record) if !error.has_record() => error.of_record(record),
            _ => error,
        };
        if !error.has_record() {
            return Err(error);
        }
        let refusal = error.refuses_topic();
        let (error, record) = error.without_record();
        if let (Some(refusal), Some(record)) = (refusal, &record) {
            self.pipeline
                .topic_refused(Arc::from(&*record.topic), refusal);
        }
        if refusal.is_some() && self.outbound.fails_with_a_topic() {
            return Err(error);
        }
        // Only one record is under way, and so it was the last.
        let sent_at = self.pipeline.last_sent_at();
        let remains = record.map(|record| Remains::of(*record, sent_at));
        self.park(kind, error, remains.unwrap_or_default()).await?;
        self.outbound.pass_over_refused(self.relay).await
    }

    /// How an event is at fault, if the policy is to park it.
    pub(super) fn may_park(&self, error: &RelayError) -> Option<PoisonKind> {
        match self.relay.config.relay.poison {
            Poison::Stop => None,
            Poison::Park => error.poison(),
        }
    }

    async fn park(
        &mut self,
        kind: PoisonKind,
        error: RelayError,
        remains: Remains,
    ) -> Result<(), RelayError> {
        let position = self.position_of_waiting();
        let origin = Origin::Relay {
            system_id: self.system_id,
            slot: self.relay.slot.clone(),
            position,
        };
        let failure = Failure::from_relay(error, &self.relay.config);
        let causes = failure.causes();
        let report = ErrorReport::new(
            failure.code().as_str(),
            &failure.to_string(),
            causes.iter().map(String::as_str),
        );
        let event = NewFailedEvent {
            origin,
            event_id: remains.id,
            target: remains.target,
            contents: remains.contents,
            error: report,
            attempts: NonZeroU32::MIN,
            first_failed_at: None,
            dead_letter: None,
        };
        let _unread = self.relay.state.not_reading();
        tokio::select! {
            stored = store(self.relay, &event) => stored?,
            error = hold(&mut self.stream, &self.server) => return Err(error),
        }
        ::metrics::counter!(metric::PARKED, metric::REASON => kind.label()).increment(1);
        tracing::error!(
            code = %failure.code(),
            error = failure.one_line(),
            %position,
            event_id = event.event_id.as_ref().map(tracing::field::display),
            help = "`cdc-relay recover list` shows it, `cdc-relay recover replay` sends it once the cause is gone",
            "parked an event"
        );
        Ok(())
    }

    /// Of the event that waits, or of the one that is under way alone.
    fn position_of_waiting(&self) -> Position {
        if self.waiting.is_none()
            && let Some(position) = self.careful.and_then(Careful::current)
        {
            return position;
        }
        if let Some(position) = self.pipeline.position() {
            return position;
        }
        match &self.waiting {
            Some(StreamEvent::Standalone(message, _)) => own_position(message),
            // A row of a table has none: the event's id tells it from others.
            _ => Position {
                commit_lsn: self.stream.received(),
                index: ChangeIndex::FIRST,
            },
        }
    }
}

/// Stores the event, however long the store is away.
async fn store(relay: &Relay, event: &NewFailedEvent) -> Result<(), RelayError> {
    let complaints = Complaints::default();
    loop {
        let stored = async {
            let mut store = FailedEvents::connect(&relay.store).await?;
            store.record(std::slice::from_ref(event)).await
        };
        let Err(source) = stored.await else {
            if complaints.were_made() {
                relay.state.recovered();
            }
            return Ok(());
        };
        let error = RelayError::Store { source };
        if error.next() == super::error::Next::Stop {
            return Err(error);
        }
        let failure = Failure::from_relay(error, &relay.config);
        complaints.about("the store of failed events", &failure);
        relay.state.failed(&failure);
        tokio::time::sleep(PAUSE).await;
    }
}
