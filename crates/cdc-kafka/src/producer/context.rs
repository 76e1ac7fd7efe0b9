//! What librdkafka's callbacks leave for the producer's owner.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cdc_event::Sequence;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Headers, Message};
use rdkafka::producer::ProducerContext;
use tokio::sync::Notify;

use super::Delivery;
use super::limits::Gauge;
use crate::client::{self, BrokerReports};
use crate::code::KafkaCode;
use crate::error::Error;

/// Shared by the sender, the taker of deliveries and the thread that serves librdkafka.
#[derive(Default)]
pub(crate) struct DeliveryContext {
    /// Bounded by what may be in flight: a record leaves that when its delivery is taken.
    ready: Mutex<Ready>,
    fatal: AtomicBool,
    pub(super) in_flight: Gauge,
    pub(super) reports: BrokerReports,
    /// Deliveries are ready, or the producer is useless.
    pub(super) reported: Signal,
    /// There is room for more.
    pub(super) room: Signal,
}

#[derive(Default)]
struct Ready {
    deliveries: Vec<Delivery>,
    bytes: usize,
}

/// Wakes those who wait for a condition that others make true.
#[derive(Default)]
pub(super) struct Signal(Notify);

impl Signal {
    /// To be called after the condition may have become true.
    pub(super) fn notify(&self) {
        self.0.notify_waiters();
    }

    /// Resolves when `condition` holds. Cancel safe: it changes nothing.
    pub(super) async fn wait_until(&self, condition: impl Fn() -> bool) {
        let mut notified = std::pin::pin!(self.0.notified());
        loop {
            // Listening before looking: what becomes true in between still wakes this task.
            notified.as_mut().enable();
            if condition() {
                return;
            }
            notified.as_mut().await;
            notified.set(self.0.notified());
        }
    }
}

/// A sequence in the form in which librdkafka carries it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "usize has 64 bits, asserted by the producer"
)]
pub(super) const fn opaque(sequence: Sequence) -> usize {
    sequence.get() as usize
}

impl DeliveryContext {
    /// Notes that the producer is useless and wakes who waits for deliveries: there may be none.
    pub(super) fn became_useless(&self) {
        if !self.fatal.swap(true, Ordering::SeqCst) {
            self.reported.notify();
        }
    }

    pub(super) fn has_news(&self) -> bool {
        self.fatal.load(Ordering::SeqCst) || !self.lock().deliveries.is_empty()
    }

    pub(super) fn take(&self, into: &mut Vec<Delivery>) {
        let mut ready = self.lock();
        let records = ready.deliveries.len();
        let bytes = std::mem::take(&mut ready.bytes);
        if into.is_empty() {
            std::mem::swap(into, &mut ready.deliveries);
        } else {
            into.append(&mut ready.deliveries);
        }
        drop(ready);
        self.in_flight.remove(records, bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: usize) {
        let (result, message) = match result {
            Ok(message) => {
                self.reports.reached();
                (Ok(()), message)
            }
            Err((error, message)) => {
                let topic = message.topic().into();
                (
                    Err(Error::Record {
                        topic,
                        code: KafkaCode::of(error),
                    }),
                    message,
                )
            }
        };
        let delivery = Delivery {
            sequence: Sequence::new(sequence as u64),
            result,
            acknowledged_at: Instant::now(),
        };
        let mut ready = self.lock();
        let first = ready.deliveries.is_empty();
        ready.deliveries.push(delivery);
        ready.bytes += size(message);
        drop(ready);
        if first {
            self.reported.notify();
        }
    }
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reports.report(&error, reason);
    }

    fn stats_raw(&self, _: &[u8]) {}
}

/// The same number that [`OutgoingRecord::size`](crate::OutgoingRecord::size) gave.
fn size(message: &BorrowedMessage<'_>) -> usize {
    let headers = message.headers().map_or(0, |headers| {
        headers
            .iter()
            .map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len))
            .sum()
    });
    message.key_len() + message.payload_len() + headers
}
