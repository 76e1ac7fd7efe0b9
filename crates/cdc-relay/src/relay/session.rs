//! One session: from a stream that is open to the error or stop that ends it.

mod ending;
mod waits;

use cdc_event::Position;
use pg_replication::{ReplicationStream, StreamEvent, SystemId};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Relay;
use super::backfill::TableBackfill;
use super::careful::{Careful, Reached};
use super::error::RelayError;
use super::outbound::Outbound;
use super::partition::PartitionFinder;
use super::pipeline::{Obstacle, Offered, Pipeline};
use super::server_watch::ServerWatch;
use super::stall::StallWatch;
use super::topics::TopicFinder;

/// A slot being relayed. Everything that must survive the cancellation of a step is in here.
#[derive(Debug)]
pub(super) struct RelaySession<'a> {
    pub(super) relay: &'a Relay,
    pub(super) stream: ReplicationStream,
    pub(super) pipeline: Pipeline,
    pub(super) outbound: Outbound,
    pub(super) topics: TopicFinder<'a>,
    pub(super) partitions: PartitionFinder<'a>,
    /// Rows of the table that come before the stream.
    pub(super) backfill: Option<TableBackfill>,
    /// One record at a time, to find out which one Kafka refuses.
    pub(super) careful: Option<Careful>,
    pub(super) stall: StallWatch,
    /// An event that could not be taken yet: the next one in order.
    pub(super) waiting: Option<StreamEvent>,
    /// The last row or event that was taken and has a place: what Kafka refuses later is not after it.
    pub(super) reached: Option<Reached>,
    /// No new transaction is started.
    pub(super) stopping: bool,
    /// The stream has come to [`Relay::until`].
    pub(super) ended: bool,
    pub(super) system_id: SystemId,
    pub(super) server: ServerWatch,
}

/// How a step ended.
#[derive(Debug)]
enum Stepped {
    On,
    /// Something was not taken by Kafka, which is told once.
    Refused(RelayError),
}

impl From<Result<(), RelayError>> for Stepped {
    fn from(done: Result<(), RelayError>) -> Self {
        match done {
            Ok(()) => Self::On,
            Err(error) => Self::Refused(error),
        }
    }
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
            let stepped = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                step = self.step() => step?,
                () = sleep_until(look), if waiting => tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    looked = self.look_at_kafka() => looked?,
                },
            };
            if let Stepped::Refused(error) = stepped {
                // However long the store is away, no look at Kafka comes between: who forgets what was refused waits for
                // it for ever.
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return Ok(()),
                    passed = self.refused(error) => passed?,
                }
            }
        }
    }

    fn has_in_flight(&self) -> bool {
        self.outbound.in_flight().records > 0
    }

    /// Takes what has been read, notes what is durable, then waits for more of either.
    ///
    /// Cancellation safe: it waits only with its state in `self`, and what Kafka refused is its result at once.
    async fn step(&mut self) -> Result<Stepped, RelayError> {
        if self.outbound.is_committing() {
            return Ok(self.finish_commit().await.into());
        }
        let obstacle = self.take()?;
        if let Err(error) = self.settle() {
            return Ok(Stepped::Refused(error));
        }
        if self.is_due() {
            if !self.outbound.advance(self.pipeline.partial())? {
                self.delivered().await?;
            }
            return Ok(Stepped::On);
        }
        self.overcome(obstacle).await?;
        Ok(Stepped::On)
    }

    /// Waits for what lets the session go on.
    async fn overcome(&mut self, obstacle: Option<Obstacle>) -> Result<(), RelayError> {
        match obstacle {
            None if self.backfill.is_some() => self.read_table().await,
            None => self.more().await,
            Some(Obstacle::Full) => self.wait_for_room().await,
            Some(Obstacle::UnseenTopic(topic)) => self.look_for(topic).await,
            Some(Obstacle::UnseenTable(relation)) => self.look_whose_part(relation).await,
            Some(Obstacle::OneByOne) => self.one_by_one().await,
            Some(Obstacle::Poison(poisoned)) => self.poisoned(*poisoned).await,
        }
    }

    fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    fn due(&self) -> Option<Instant> {
        self.outbound.due(self.is_behind(), self.careful.is_some())
    }

    /// There is more to come than what is being committed right now.
    fn is_behind(&self) -> bool {
        !self.stopping && (self.stream.is_behind() || self.backfill.is_some())
    }

    /// Everything that has been read, up to what is in the way.
    fn take(&mut self) -> Result<Option<Obstacle>, RelayError> {
        if let Some(backfill) = &mut self.backfill {
            let one_by_one = self.careful.is_some();
            let taken = backfill.take(&mut self.pipeline, &mut self.outbound, one_by_one);
            if let Some(row) = backfill.reached() {
                self.reach(Reached::Row(row));
            }
            return taken;
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
        if let Some(position) = position {
            self.reach(Reached::Event(position));
        }
        if let Some(careful) = &mut self.careful
            && self.outbound.is_under_way()
        {
            careful.sent(position);
        }
    }

    fn reach(&mut self, reached: Reached) {
        self.reached = Some(reached);
        if self.careful.is_some_and(|careful| careful.is_over(reached)) {
            tracing::info!("past what Kafka refused; sending in batches again");
            self.careful = None;
        }
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
}
