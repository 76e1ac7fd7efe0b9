//! A consumer that notes when it sees each event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use cdc_e2e::wait::{Look, until};
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};

use super::EventNumber;
use crate::broker::{Isolation, Topic, client_config};

/// How long one poll waits for a record: the consumer stops at the latest after this.
const POLL: Duration = Duration::from_millis(50);

/// Reads a topic from its beginning on a thread of its own, which ends when this is dropped.
pub(super) struct Arrivals {
    signals: Arc<Signals>,
    thread: Option<JoinHandle<Vec<Option<Instant>>>>,
}

#[derive(Default)]
struct Signals {
    stop: AtomicBool,
    seen: AtomicU32,
}

impl Arrivals {
    /// Starts to read; up to `events` events are awaited, those with the numbers below.
    pub(super) fn start(brokers: &str, topic: &Topic, events: u32) -> Result<Self> {
        let consumer: BaseConsumer = client_config(brokers)
            // Required for `assign`; nothing is ever committed in it.
            .set("group.id", "cdc-bench")
            .set("enable.auto.commit", "false")
            .set("isolation.level", Isolation::ReadCommitted.name())
            // The broker answers at once when there is something; the client asks again at once.
            .set("fetch.wait.max.ms", "5")
            .set("fetch.queue.backoff.ms", "0")
            .create()?;
        consumer.assign(&topic.partitions(Offset::Beginning)?)?;
        let signals = Arc::new(Signals::default());
        let thread = std::thread::Builder::new().name("consumer".into()).spawn({
            let signals = Arc::clone(&signals);
            move || signals.read(&consumer, events)
        })?;
        Ok(Self {
            signals,
            thread: Some(thread),
        })
    }

    /// Waits until so many different events were seen.
    pub(super) async fn wait_for(&self, events: u32, limit: Duration) -> Result<()> {
        until(limit, "the events to arrive", async || {
            let seen = self.signals.seen.load(Ordering::Relaxed);
            Ok(Look::when(
                seen >= events,
                format_args!("{seen} of {events}"),
            ))
        })
        .await
    }

    /// Stops; when each event was seen first, by its number.
    pub(super) fn finish(mut self) -> Result<Vec<Option<Instant>>> {
        self.stop()
    }

    fn stop(&mut self) -> Result<Vec<Option<Instant>>> {
        self.signals.stop.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) => thread
                .join()
                .map_err(|_| anyhow!("the consumer has panicked")),
            None => Ok(Vec::new()),
        }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        // A panic has been reported by the thread itself.
        self.stop().ok();
    }
}

impl Signals {
    fn read(&self, consumer: &BaseConsumer, events: u32) -> Vec<Option<Instant>> {
        let mut arrivals = vec![None; events as usize];
        while !self.stop.load(Ordering::Relaxed) {
            // An error is transient: librdkafka goes on by itself.
            let Some(Ok(record)) = consumer.poll(POLL) else {
                continue;
            };
            let now = Instant::now();
            let number = event_number(&record).map(|number| number.0 as usize);
            let arrival = number.and_then(|number| arrivals.get_mut(number));
            if let Some(arrival @ None) = arrival {
                *arrival = Some(now);
                self.seen.fetch_add(1, Ordering::Relaxed);
            }
        }
        arrivals
    }
}

fn event_number(record: &BorrowedMessage<'_>) -> Option<EventNumber> {
    let mut headers = record.headers()?.iter();
    let id = headers.find(|header| header.key == "id")?.value?;
    EventNumber::from_id(id)
}
