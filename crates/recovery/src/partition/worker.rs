//! Reads a partition, has its records dealt with, and stores how far all is done.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use cdc_event::{Handler, Sequence, Watermark};
use cdc_kafka::{FetchedRecord, Offset, PartitionReader};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::sleep;

use super::intake;
use super::lanes::{LaneId, Lanes};
use super::share::Share;
use crate::error::Error;
use crate::work::{self, Context, Job, NotDone};

/// One partition from its assignment until it is let go.
pub(crate) struct Worker<H: Handler> {
    context: Arc<Context<H>>,
    reader: PartitionReader,
    share: Share,
    /// Room for records that are being taken.
    batch: Vec<FetchedRecord>,
    /// Taken, and not yet begun: the first may not be due.
    ahead: VecDeque<FetchedRecord>,
    /// When the first of them is due, once that has been found out.
    due: Option<SystemTime>,
    lanes: Lanes<Held>,
    in_flight: FuturesUnordered<Task>,
    /// Its marks are the offsets after each record.
    watermark: Watermark<Offset>,
    held_bytes: usize,
    /// Records that were held when it was counted last.
    counted: usize,
}

type Task = Pin<Box<dyn Future<Output = Finished> + Send>>;

/// A record that waits for its turn.
#[derive(Debug)]
struct Held {
    sequence: Sequence,
    size: usize,
    job: Job,
}

/// A record that has been dealt with.
struct Finished {
    lane: Option<LaneId>,
    sequence: Sequence,
    size: usize,
    outcome: Result<(), NotDone>,
}

/// Records that are taken in one go.
const BATCH: usize = 256;

/// From the oldest record that is not done to the newest that was read, at most: a key that waits for hours lets the
/// others go on this far.
const MAX_SPAN: u64 = 100_000;

/// A clock that jumps is looked at again after this.
const LONGEST_NAP: Duration = Duration::from_secs(60);

impl<H: Handler> Worker<H> {
    pub(crate) fn new(context: Context<H>, reader: PartitionReader, share: Share) -> Self {
        context.shared.progress.partitions[usize::from(context.tier.is_some())]
            .fetch_add(1, Ordering::Relaxed);
        Self {
            context: Arc::new(context),
            reader,
            share,
            batch: Vec::new(),
            ahead: VecDeque::new(),
            due: None,
            lanes: Lanes::new(),
            in_flight: FuturesUnordered::new(),
            watermark: Watermark::new(),
            held_bytes: 0,
            counted: 0,
        }
    }

    /// Works until it is told to stop or the partition is taken away, and then until what was begun has ended.
    ///
    /// Dropping it leaves what was begun undone; what was done before is stored.
    ///
    /// # Errors
    ///
    /// The handler cannot go on, or what failed cannot be kept in order.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let worked = self.work().await;
        // Whatever waits, for a delay or for its turn, gives up.
        self.context.stop.cancel();
        worked?;
        self.ahead.clear();
        drop(self.lanes.clear());
        while let Some(finished) = self.in_flight.next().await {
            self.finished(finished)?;
            self.store();
        }
        Ok(())
    }

    async fn work(&mut self) -> Result<(), Error> {
        let context = Arc::clone(&self.context);
        loop {
            let wait = self.feed()?;
            self.take_finished()?;
            self.store();
            let (records, bytes) = self.room();
            let wants_more = self.ahead.is_empty() && records > 0;
            tokio::select! {
                biased;
                () = context.stop.cancelled() => return Ok(()),
                Some(finished) = self.in_flight.next(), if !self.in_flight.is_empty() => self.finished(finished)?,
                taken = self.reader.take(records.min(BATCH), bytes, &mut self.batch), if wants_more => {
                    if taken == 0 {
                        return Ok(());
                    }
                    self.held_bytes += self.batch.iter().map(FetchedRecord::size).sum::<usize>();
                    self.ahead.extend(self.batch.drain(..));
                }
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
    }

    /// Gives records to the handler as they are due; how long to wait for the next, if one was fetched that is not due.
    fn feed(&mut self) -> Result<Option<Duration>, Error> {
        // One look at the clock for all: they have been fetched by now, and giving them to the handler takes no time.
        let now = SystemTime::now();
        while let Some(first) = self.ahead.front() {
            if let Some(tier) = self.context.tier {
                let delay = self.context.shared.plan.delay_of(tier);
                let is_new = self.due.is_none();
                let due = *self
                    .due
                    .get_or_insert_with(|| intake::due(first, delay, now));
                if let Some(left) = due.duration_since(now).ok().filter(|left| !left.is_zero()) {
                    if is_new {
                        self.show_due(Some(due));
                    }
                    return Ok(Some(left.min(LONGEST_NAP)));
                }
                if !is_new {
                    self.show_due(None);
                }
                self.due = None;
            }
            if let Some(fetched) = self.ahead.pop_front() {
                self.accept(fetched, now)?;
            }
        }
        Ok(None)
    }

    fn accept(&mut self, fetched: FetchedRecord, now: SystemTime) -> Result<(), Error> {
        let size = fetched.size();
        let sequence = self.watermark.assign();
        self.watermark
            .mark(Offset(fetched.offset.0.saturating_add(1)));
        let job = match self.context.tier {
            None => intake::of_source(&self.context, fetched),
            Some(tier) => intake::of_retry(&self.context, self.reader.topic(), tier, fetched, now),
        };
        let lane = self.lanes.of(&job.record);
        match self.lanes.wait(
            lane,
            Held {
                sequence,
                size,
                job,
            },
        ) {
            Ok(()) => Ok(()),
            Err(held) => self.begin(lane, held),
        }
    }

    /// Begins with a record, and with those behind it as long as each ends at once.
    fn begin(&mut self, lane: Option<LaneId>, held: Held) -> Result<(), Error> {
        let mut next = Some(held);
        while let Some(held) = next.take() {
            let mut task = self.task(lane, held);
            // Most handlers that need not wait end here, without ever being scheduled.
            let waker = futures_util::task::noop_waker_ref();
            match task.poll_unpin(&mut std::task::Context::from_waker(waker)) {
                Poll::Ready(finished) => {
                    if self.is_done(finished)? {
                        next = self.lanes.next(lane);
                    }
                }
                Poll::Pending => {
                    self.lanes.occupy(lane);
                    self.in_flight.push(task);
                }
            }
        }
        Ok(())
    }

    fn task(&self, lane: Option<LaneId>, held: Held) -> Task {
        let context = Arc::clone(&self.context);
        let Held {
            sequence,
            size,
            job,
        } = held;
        Box::pin(async move {
            Finished {
                lane,
                sequence,
                size,
                outcome: work::run(&context, job).await,
            }
        })
    }

    /// Takes what has ended by now.
    fn take_finished(&mut self) -> Result<(), Error> {
        while let Some(Some(finished)) = self.in_flight.next().now_or_never() {
            self.finished(finished)?;
        }
        Ok(())
    }

    fn finished(&mut self, finished: Finished) -> Result<(), Error> {
        let lane = finished.lane;
        if !self.is_done(finished)? || self.context.stop.is_cancelled() {
            return Ok(());
        }
        match self.lanes.next(lane) {
            Some(held) => self.begin(lane, held),
            None => Ok(()),
        }
    }

    /// Notes what became of a record. One that was abandoned is not done, and neither is what is behind it in its lane.
    fn is_done(&mut self, finished: Finished) -> Result<bool, Error> {
        self.held_bytes = self.held_bytes.saturating_sub(finished.size);
        match finished.outcome {
            Ok(()) => {
                self.watermark.acknowledge(finished.sequence);
                Ok(true)
            }
            Err(NotDone::Abandoned) => Ok(false),
            Err(NotDone::Handler(stopped)) => Err(Error::Handler(stopped)),
            Err(NotDone::Order(error)) => Err(Error::Order(error)),
        }
    }

    /// Stores how far everything is done.
    fn store(&mut self) {
        let mut next = None;
        while let Some(offset) = self.watermark.release() {
            next = Some(offset);
        }
        if let Some(next) = next {
            // A partition that was let go takes nothing: its next owner does it again.
            self.reader.store(next);
        }
        let held = self.watermark.in_flight();
        if held != self.counted {
            self.context.shared.progress.held(self.counted, held);
            self.counted = held;
        }
    }

    /// Records and bytes that may be taken.
    fn room(&self) -> (usize, usize) {
        let held = self.watermark.in_flight();
        if held == 0 {
            return (BATCH, self.share.bytes().max(1));
        }
        if self.watermark.span() >= MAX_SPAN {
            return (0, 0);
        }
        let records = self.share.records().saturating_sub(held);
        let bytes = self.share.bytes().saturating_sub(self.held_bytes);
        if bytes == 0 { (0, 0) } else { (records, bytes) }
    }

    fn show_due(&self, due: Option<SystemTime>) {
        if let Some(tier) = self.context.tier {
            self.context
                .shared
                .progress
                .due(tier, self.reader.topic_partition(), due);
        }
    }
}

impl<H: Handler> Drop for Worker<H> {
    fn drop(&mut self) {
        self.show_due(None);
        let progress = &self.context.shared.progress;
        progress.held(self.counted, 0);
        progress.partitions[usize::from(self.context.tier.is_some())]
            .fetch_sub(1, Ordering::Relaxed);
    }
}
