//! The producer as a service has it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cdc_kafka::Limits;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::alert::Alerts;
use crate::driver::Driver;
use crate::error::{SendError, StartError};
use crate::event::Event;
use crate::pending::{Pending, Placed};
use crate::record::{Record, Recorder};
use crate::settings::Settings;

/// What the buffer is counted in, in bytes; a record takes at least one.
const UNIT: usize = 1024;

/// Which way events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// To Kafka.
    Direct,
    /// To the outbox.
    Outbox,
}

/// Sends events to Kafka, or to the outbox while Kafka takes nothing. To be shared by all requests of a service.
///
/// One task of its own does it, in the order in which events are accepted. Dropping the producer lets that task end by
/// itself when everything accepted is answered for; [`close`](Self::close) waits for it.
#[derive(Debug)]
pub struct GuardedProducer {
    recorder: Mutex<Recorder>,
    room: Arc<Semaphore>,
    units: u32,
    pressed: Arc<Notify>,
    queue: mpsc::Sender<Pending>,
    block_time: Duration,
    way: watch::Receiver<Way>,
    driver: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl GuardedProducer {
    /// Starts it, whether Kafka and PostgreSQL are there or not. Must be called on a tokio runtime.
    ///
    /// Events go to the outbox until the relay has shown that nothing is left there of an earlier process: a moment, if
    /// all is well.
    ///
    /// # Errors
    ///
    /// [`StartError`] for settings that cannot be used.
    pub fn start(settings: Settings, alerts: impl Alerts) -> Result<Self, StartError> {
        if settings.slots.is_empty() {
            return Err(StartError::NoSlot);
        }
        settings.kafka.validate().map_err(StartError::Kafka)?;
        let max_bytes = settings.kafka.message_max_bytes();
        let recorder = Recorder::new(settings.outbox.clone(), max_bytes)?;
        let units = settings.buffer.div_ceil(UNIT).clamp(1, 1024 * 1024);
        let (queue, events) = mpsc::channel(units);
        let (way_told, way) = watch::channel(Way::Outbox);
        let (pressed, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let driver = TaskTracker::new();
        let block_time = settings.block_time;
        let task = Driver {
            // What the buffer takes, the producer takes too: here is where events wait.
            limits: Limits {
                max_in_flight_bytes: usize::MAX / 4,
                max_in_flight_records: units.saturating_add(1),
            },
            settings,
            alerts: Arc::new(alerts),
            queue: events,
            pressed: Arc::clone(&pressed),
            way: way_told,
            stop: stop.clone(),
        };
        driver.spawn(task.run());
        driver.close();
        Ok(Self {
            recorder: Mutex::new(recorder),
            room: Arc::new(Semaphore::new(units)),
            units: u32::try_from(units).unwrap_or(u32::MAX),
            pressed,
            queue,
            block_time,
            way,
            driver,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })
    }

    /// Sends an event, and says where it is now.
    ///
    /// Events of one key arrive in the order in which they were accepted; who needs two of them in order awaits the first
    /// before it sends the second. An answer comes after at most `block_time`, `delivery_timeout` and twice
    /// `store_timeout` together, and a second or two for changing the way.
    ///
    /// Cancellation safe in that an event which was accepted goes on its way: it may have arrived. Send it again with
    /// the same id if it must not be missed.
    ///
    /// # Errors
    ///
    /// [`SendError`]; neither Kafka nor the outbox has the event for certain.
    pub async fn send(&self, event: Event) -> Result<Placed, SendError> {
        let asked_at = Instant::now();
        let record = self
            .recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(&event)
            .map_err(SendError::Invalid)?;
        let room = self.room_for(&record, asked_at).await?;
        let (reply, answer) = oneshot::channel();
        let pending = Pending {
            event,
            record,
            asked_at,
            reply,
            _room: room,
        };
        // Never full: each event has a part of the buffer, and it has as many places.
        let taken = self.queue.try_send(pending);
        taken.map_err(|_| SendError::Closed)?;
        answer.await.unwrap_or(Err(SendError::Closed))
    }

    /// Which way events go at the moment. For a health check: neither is a reason to restart the service.
    #[must_use]
    pub fn way(&self) -> Way {
        *self.way.borrow()
    }

    /// Takes no more events and waits until every accepted one is answered for.
    ///
    /// Cancellation safe: it goes on closing.
    pub async fn close(&self) {
        self.stop.cancel();
        self.driver.wait().await;
    }

    async fn room_for(
        &self,
        record: &Record,
        asked_at: Instant,
    ) -> Result<OwnedSemaphorePermit, SendError> {
        let units = record.bytes().div_ceil(UNIT).max(1);
        let units = u32::try_from(units).unwrap_or(u32::MAX).min(self.units);
        let mut room = std::pin::pin!(Arc::clone(&self.room).acquire_many_owned(units));
        let half = self.block_time / 2;
        let found = match timeout(half, room.as_mut()).await {
            Ok(found) => found,
            Err(_) => {
                self.pressed.notify_one();
                let waited = || SendError::Busy {
                    waited: asked_at.elapsed(),
                };
                timeout(half, room).await.map_err(|_| waited())?
            }
        };
        found.map_err(|_| SendError::Closed)
    }
}
