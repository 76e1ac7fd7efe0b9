//! One session: from a stream that is open to the error or stop that ends it.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::Position;
use pg_replication::{Filled, ReplicationStream, StreamEvent, SystemId};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::backfill::TableBackfill;
use super::careful::Careful;
use super::error::RelayError;
use super::outbound::Outbound;
use super::pipeline::{Obstacle, Offered, Pipeline};
use super::server_watch::ServerWatch;
use super::stall::{StallWatch, Verdict};
use super::topics::TopicFinder;
use super::{Relay, hold};
use crate::config::Poison;

/// The least that PostgreSQL gets to take the last position, however late it is.
const FAREWELL: Duration = Duration::from_millis(200);

/// A slot being relayed. Everything that must survive the cancellation of a step is in here.
#[derive(Debug)]
pub(super) struct RelaySession<'a> {
    pub(super) relay: &'a Relay,
    pub(super) stream: ReplicationStream,
    pub(super) pipeline: Pipeline,
    pub(super) outbound: Outbound,
    pub(super) topics: TopicFinder<'a>,
    /// Rows of the table that come before the stream.
    pub(super) backfill: Option<TableBackfill>,
    /// One record at a time, to find out which one Kafka refuses.
    pub(super) careful: Option<Careful>,
    pub(super) stall: StallWatch,
    /// An event that could not be taken yet: the next one in order.
    pub(super) waiting: Option<StreamEvent>,
    /// Of the last event that was taken and has one: what Kafka refuses later is not after it.
    pub(super) reached: Option<Position>,
    /// No new transaction is started.
    pub(super) stopping: bool,
    /// The stream has come to [`Relay::until`].
    pub(super) ended: bool,
    pub(super) system_id: SystemId,
    pub(super) server: ServerWatch,
}

impl RelaySession<'_> {
    /// Relays until told to stop, or until Kafka has everything up to where the stream is to end.
    pub(super) async fn run(&mut self, shutdown: &CancellationToken) -> Result<(), RelayError> {
        loop {
            if self.ended {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return Ok(()),
                    drained = self.drain() => return drained,
                }
            }
            let (look, waiting) = (self.stall.next_look(), self.has_in_flight());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                step = self.step() => step?,
                () = sleep_until(look), if waiting => tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    looked = self.look_at_kafka() => looked?,
                },
            }
        }
    }

    fn has_in_flight(&self) -> bool {
        self.outbound.in_flight().records > 0
    }

    /// Nothing was delivered for a while: is Kafka away, or has the producer lost its way?
    async fn look_at_kafka(&mut self) -> Result<(), RelayError> {
        let topics = self.pipeline.topics();
        let look = self.topics.have_leaders(&topics);
        let held = hold(&mut self.stream, &self.server);
        let well = if self.outbound.is_committing() {
            tokio::select! {
                well = look => well,
                // Nobody takes reports meanwhile, so that old ones would look like new ones for ever.
                committed = self.outbound.committed() => return match committed {
                    Ok(()) => Ok(()),
                    Err(error) => self.refused(error).await,
                },
                error = held => return Err(error),
            }
        } else {
            tokio::select! {
                well = look => well,
                () = self.outbound.producer().delivered() => return Ok(()),
                error = held => return Err(error),
            }
        };
        match self.stall.looked(well, Instant::now()) {
            Verdict::Patience => Ok(()),
            Verdict::Stalled => Err(RelayError::ProducerStalled),
        }
    }

    /// Takes what has been read, notes what is durable, then waits for more of either.
    ///
    /// Cancellation safe: it waits only with its state in `self`.
    async fn step(&mut self) -> Result<(), RelayError> {
        if self.outbound.is_committing() {
            return match self.finish_commit().await {
                Err(error) => self.refused(error).await,
                done => done,
            };
        }
        let obstacle = self.take()?;
        if let Err(error) = self.settle() {
            return self.refused(error).await;
        }
        if self.is_due() {
            if !self.outbound.advance(self.pipeline.partial())? {
                self.delivered().await?;
            }
            return Ok(());
        }
        match obstacle {
            None if self.backfill.is_some() => self.read_table().await,
            None => self.more().await,
            Some(Obstacle::Full) => self.wait_for_room().await,
            Some(Obstacle::UnseenTopic(topic)) => self.look_for(topic).await,
            Some(Obstacle::OneByOne) => self.one_by_one().await,
            Some(Obstacle::Poison(poisoned)) => self.poisoned(*poisoned).await,
        }
    }

    fn is_due(&self) -> bool {
        self.outbound
            .due(self.is_behind())
            .is_some_and(|due| due <= Instant::now())
    }

    /// There is more to come than what is being committed right now.
    fn is_behind(&self) -> bool {
        !self.stopping && (self.stream.is_behind() || self.backfill.is_some())
    }

    /// Waits for the transaction in Kafka. PostgreSQL goes on sending into the socket meanwhile.
    async fn finish_commit(&mut self) -> Result<(), RelayError> {
        let unread = self.relay.state.not_reading();
        tokio::select! {
            committed = self.outbound.committed() => committed?,
            error = hold(&mut self.stream, &self.server) => return Err(error),
        }
        drop(unread);
        self.outbound.finish(&mut self.stream, &self.relay.metrics);
        self.progressed();
        Ok(())
    }

    /// Waits for rows of the table.
    async fn read_table(&mut self) -> Result<(), RelayError> {
        let Some(backfill) = &mut self.backfill else {
            return Ok(());
        };
        let due = self.outbound.due(true);
        let _unread = self.relay.state.not_reading();
        let more = tokio::select! {
            more = backfill.read() => more?,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return Ok(()),
            error = hold(&mut self.stream, &self.server) => return Err(error),
        };
        if !more && let Some(backfill) = self.backfill.take() {
            let overlap = backfill.finish(&mut self.outbound);
            self.pipeline.reading_is_over(overlap);
        }
        Ok(())
    }

    /// Waits for bytes or, when caught up, delivery reports. With a backlog the reports are taken after each
    /// read anyway; to be woken for each would cost more than the work itself.
    async fn more(&mut self) -> Result<(), RelayError> {
        let behind = self.stream.is_behind();
        let due = self.outbound.due(self.is_behind());
        let filled = tokio::select! {
            filled = self.stream.fill() => filled,
            () = self.outbound.producer().delivered(), if !behind => return Ok(()),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return Ok(()),
        };
        match filled {
            Ok(Filled::Bytes) => self.relay.state.wire_activity(),
            Ok(Filled::Nothing) => {}
            Err(source) => {
                return Err(RelayError::Postgres {
                    doing: "read the stream",
                    source,
                });
            }
        }
        Ok(())
    }

    /// Everything that has been read, up to what is in the way.
    fn take(&mut self) -> Result<Option<Obstacle>, RelayError> {
        if let Some(backfill) = &mut self.backfill {
            return backfill.take(
                &mut self.pipeline,
                &mut self.outbound,
                self.careful.is_some(),
            );
        }
        loop {
            if self.ended {
                return Ok(None);
            }
            if self.stopping && self.waiting.is_none() && !self.pipeline.in_transaction() {
                return Ok(None);
            }
            if self.careful.is_some() && self.outbound.is_under_way() {
                return Ok(Some(Obstacle::OneByOne));
            }
            let event = match self.waiting.take() {
                Some(event) => event,
                None => match self
                    .stream
                    .try_next()
                    .map_err(|source| RelayError::Postgres {
                        doing: "stream from the slot",
                        source,
                    })? {
                    Some(event) => event,
                    None => return Ok(None),
                },
            };
            if self.is_end(&event) {
                self.ended = true;
                return Ok(None);
            }
            let position = self.pipeline.position_of(&event);
            match self.pipeline.offer(event, &mut self.outbound)? {
                Offered::Taken => self.took(position),
                Offered::Blocked(event, obstacle) => {
                    self.waiting = Some(event);
                    return Ok(Some(obstacle));
                }
            }
        }
    }

    /// Whether everything before [`Relay::until`] has been taken. The event is not, and nothing confirms it.
    fn is_end(&self, event: &StreamEvent) -> bool {
        self.relay.until.is_some_and(|until| match event {
            StreamEvent::Begin(begin) => begin.final_lsn >= until,
            // Its LSN is the end of its record.
            StreamEvent::Standalone(message, _) => message.lsn > until,
            StreamEvent::Idle { token, .. } => token.lsn() >= until,
            StreamEvent::Change(_) | StreamEvent::Commit(..) => false,
        })
    }

    /// An event was taken.
    fn took(&mut self, position: Option<Position>) {
        self.reached = position.or(self.reached);
        let Some(careful) = &mut self.careful else {
            return;
        };
        if careful.is_over(position) {
            tracing::info!("past what Kafka refused; sending in batches again");
            self.careful = None;
        } else if self.outbound.is_under_way() {
            careful.sent(position);
        }
    }

    /// Waits until the fate of the only record under way is known.
    async fn one_by_one(&mut self) -> Result<(), RelayError> {
        if matches!(self.outbound, Outbound::ExactlyOnce(_))
            && self.outbound.advance(self.pipeline.partial())?
        {
            return Ok(());
        }
        if self.outbound.is_under_way() {
            self.delivered().await?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), RelayError> {
        let before = self.outbound.in_flight();
        let settled = self.outbound.settle(&mut self.stream, &self.relay.metrics);
        let in_flight = self.outbound.in_flight();
        if in_flight.records == 0 || in_flight.records < before.records {
            self.stall.progressed(Instant::now());
        }
        self.progressed();
        settled
    }

    fn progressed(&self) {
        let backfilling = self.backfill.is_some() || self.outbound.notes_backfill();
        self.relay.state.backfilling(backfilling);
        self.relay.state.progress(
            self.stream.received(),
            self.stream.confirmed(),
            self.outbound.in_flight(),
        );
    }

    /// Waits until a quarter of the producer's bound is free: not for a record at a time.
    async fn wait_for_room(&mut self) -> Result<(), RelayError> {
        while !self.outbound.has_room() && !self.is_due() {
            self.delivered().await?;
            self.settle()?;
        }
        Ok(())
    }

    /// Waits for delivery reports, however long that takes, without reading.
    pub(super) async fn delivered(&mut self) -> Result<(), RelayError> {
        let _unread = self.relay.state.not_reading();
        tokio::select! {
            () = self.outbound.producer().delivered() => Ok(()),
            error = hold(&mut self.stream, &self.server) => Err(error),
        }
    }

    /// Makes sure that a topic is there before the first record goes to it.
    async fn look_for(&mut self, topic: Arc<str>) -> Result<(), RelayError> {
        let _unread = self.relay.state.not_reading();
        tokio::select! {
            found = self.topics.find(&topic) => match found {
                Ok(()) => self.pipeline.topic_exists(topic),
                Err(error) => match (self.relay.config.relay.poison, error.refuses_topic()) {
                    (Poison::Park, Some(refusal)) => self.pipeline.topic_refused(topic, refusal),
                    _ => return Err(error),
                },
            },
            error = hold(&mut self.stream, &self.server) => return Err(error),
        }
        Ok(())
    }

    /// Lets go of both sides after an error. The old producer must be gone before a new one sends, or its
    /// records could arrive after newer ones.
    pub(super) async fn abandon(self, limit: Duration) {
        drop(self.stream);
        if !self.outbound.close(limit).await {
            tracing::warn!(
                "the Kafka producer did not end in time; it goes on ending in the background"
            );
        }
    }

    /// Stops at something that stays until somebody deals with it. That may mean to move the slot past it, and so past
    /// everything that is not confirmed: what came before is therefore delivered and confirmed first, as far as that
    /// goes within `deadline`.
    pub(super) async fn stop_short(mut self, deadline: Instant) {
        let drained = timeout_at(deadline, self.drain_before_the_fault()).await;
        let confirmed = matches!(drained, Ok(Ok(())));
        if !self.close(deadline).await.is_ok_and(|()| confirmed) {
            tracing::warn!(
                "the slot may stand before events that are not to blame; to move it by hand would skip them too"
            );
        }
    }

    /// Stops in order: the open transaction is finished, what is in flight is awaited, the position is
    /// confirmed; all within `deadline`. What could not be confirmed is streamed again by the next start.
    pub(super) async fn stop(mut self, deadline: Instant) -> Result<(), RelayError> {
        self.stopping = true;
        let drained = timeout_at(deadline, async {
            // Rows of a table can be read on from any of them.
            while self.backfill.is_none()
                && (self.pipeline.in_transaction() || self.waiting.is_some())
            {
                self.step().await?;
            }
            self.drain().await
        })
        .await;
        if let Ok(result) = drained {
            result?;
        } else {
            tracing::warn!(
                records = self.outbound.in_flight().records,
                "not drained in time; what Kafka has not acknowledged is sent again by the next start"
            );
        }
        self.close(deadline).await
    }

    /// Waits until everything that was sent is in Kafka, with its checkpoint.
    async fn drain(&mut self) -> Result<(), RelayError> {
        loop {
            if self.outbound.is_committing() {
                self.finish_commit().await?;
            }
            self.settle()?;
            if self.outbound.is_settled() {
                return Ok(());
            }
            self.go_on_draining().await?;
        }
    }

    /// As far as it goes: that a record was refused is known, or makes no difference any more.
    async fn drain_before_the_fault(&mut self) -> Result<(), RelayError> {
        loop {
            if self.outbound.is_committing() {
                self.finish_commit().await?;
            }
            self.settle().ok();
            if self.outbound.is_settled_before_the_refused()
                || self.outbound.producer().fatal().is_some()
            {
                return Ok(());
            }
            self.go_on_draining().await?;
        }
    }

    async fn go_on_draining(&mut self) -> Result<(), RelayError> {
        let due = self.outbound.due(false).is_some();
        if due && self.outbound.advance(self.pipeline.partial())? {
            return Ok(());
        }
        self.delivered().await
    }

    async fn close(self, deadline: Instant) -> Result<(), RelayError> {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(FAREWELL);
        let confirmed = self.stream.close(left).await;
        if !self.outbound.close(FAREWELL).await {
            tracing::debug!("the Kafka producer goes on ending in the background");
        }
        match confirmed {
            Ok(confirmed) => {
                tracing::info!(%confirmed, "stopped");
                Ok(())
            }
            Err(source) => Err(RelayError::Postgres {
                doing: "confirm the last position",
                source,
            }),
        }
    }
}
