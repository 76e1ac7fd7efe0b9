//! What librdkafka's callbacks leave for the producer's owner.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use tokio::sync::Notify;

use super::Delivery;
use super::limits::{Gauge, Limits};
use super::token::Token;
use crate::brokers::{BrokerWatch, any_known};
use crate::client::{self, BrokerReports};
use crate::code::KafkaCode;
use crate::error::Error;
use crate::record::{OwnedRecord, Place};

/// What librdkafka calls. Producers that take turns have their deliveries in common.
#[derive(Default)]
pub(crate) struct DeliveryContext {
    pub(super) deliveries: Arc<Deliveries>,
    brokers: Mutex<BrokerWatch>,
    /// Every broker, for good.
    has_forgotten: AtomicBool,
}

/// Shared by the sender, the taker of deliveries and the threads that serve librdkafka.
#[derive(Default)]
pub(crate) struct Deliveries {
    /// Bounded by what may be in flight: a record leaves that when its delivery is taken.
    ready: Mutex<Ready>,
    /// Deliveries are ready; asked more often than they are taken.
    waiting: AtomicBool,
    /// Somebody waits for the last report, or for a failure, not for the first.
    draining: AtomicBool,
    fatal: AtomicBool,
    /// The producer takes nothing any more, and what it was sent is being reported.
    ending: AtomicBool,
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
    /// A record of the transaction was not delivered, whether that has been taken or not.
    undelivered: bool,
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

impl Deliveries {
    /// Notes that the producer is useless and wakes who waits for deliveries: there may be none.
    pub(super) fn became_useless(&self) {
        if !self.fatal.swap(true, Ordering::SeqCst) {
            self.reported.notify();
        }
    }

    /// Notes that the producer takes nothing any more.
    pub(super) fn ends(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_room(&self, limits: Limits) -> bool {
        self.in_flight.has_room(limits) && !self.ending.load(Ordering::SeqCst)
    }

    pub(super) fn has_news(&self) -> bool {
        self.fatal.load(Ordering::SeqCst) || self.waiting.load(Ordering::SeqCst)
    }

    pub(super) fn take(&self, into: &mut Vec<Delivery>) {
        // First: what is pushed after this sets it again, what was pushed before is taken.
        self.waiting.store(false, Ordering::SeqCst);
        let mut ready = self.lock();
        let records = ready.deliveries.len();
        let bytes = std::mem::take(&mut ready.bytes);
        if into.is_empty() {
            std::mem::swap(into, &mut ready.deliveries);
        } else {
            into.append(&mut ready.deliveries);
        }
        // Under the lock: what is in flight and not ready is what is not reported.
        self.in_flight.remove(records, bytes);
        drop(ready);
    }

    /// What was reported before says nothing of the transaction that begins.
    pub(super) fn begin_transaction(&self) {
        self.lock().undelivered = false;
    }

    /// Resolves when every record has been reported, or the producer is useless. Cancel safe.
    pub(super) async fn drained(&self) {
        self.wait_for_reports(Self::all_reported).await;
    }

    /// As [`drained`](Self::drained), or when one of the transaction was not delivered, and gives whether that is so.
    pub(super) async fn drained_or_failed(&self) -> bool {
        self.wait_for_reports(|deliveries| deliveries.has_failed() || deliveries.all_reported())
            .await;
        self.has_failed()
    }

    async fn wait_for_reports(&self, are_in: impl Fn(&Self) -> bool) {
        self.draining.store(true, Ordering::SeqCst);
        self.reported
            .wait_until(|| self.fatal.load(Ordering::SeqCst) || are_in(self))
            .await;
        self.draining.store(false, Ordering::SeqCst);
    }

    fn all_reported(&self) -> bool {
        let ready = self.lock();
        ready.deliveries.len() == self.in_flight.read().records
    }

    fn has_failed(&self) -> bool {
        self.lock().undelivered
    }

    fn report(&self, delivery: Delivery, bytes: usize) {
        let mut ready = self.lock();
        let has_failed = delivery.result.is_err();
        ready.undelivered |= has_failed;
        ready.deliveries.push(delivery);
        ready.bytes += bytes;
        drop(ready);
        let is_first = !self.waiting.swap(true, Ordering::SeqCst);
        let may_end = || has_failed || self.all_reported();
        if is_first || (self.draining.load(Ordering::SeqCst) && may_end()) {
            self.reported.notify();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeliveryContext {
    /// For another producer that has the deliveries of this one.
    pub(crate) fn sharing(&self) -> Self {
        Self {
            deliveries: Arc::clone(&self.deliveries),
            ..Self::default()
        }
    }

    /// Whether the client has forgotten every broker. It shows only where `statistics.interval.ms` is set.
    pub(super) fn has_forgotten(&self) -> bool {
        self.has_forgotten.load(Ordering::Relaxed)
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let token = Token::from_opaque(token);
        let (result, record, message) = match result {
            Ok(message) => (Ok(()), None, message),
            Err((error, message)) => {
                let (topic, code) = (message.topic().into(), KafkaCode::of(error));
                let record = Box::new(OwnedRecord::of(message));
                (Err(Error::Record { topic, code }), Some(record), message)
            }
        };
        if result.is_ok() {
            self.deliveries.reports.reached();
        }
        let delivery = Delivery {
            sequence: token.sequence(),
            place: result.is_ok().then(|| Place::of(message)),
            result,
            record,
            acknowledged_at: Instant::now(),
        };
        let bytes = message.key_len() + message.payload_len() + token.header_bytes();
        self.deliveries.report(delivery, bytes);
    }
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.deliveries.reports.report(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Some(known) = any_known(statistics) {
            let mut brokers = self.brokers.lock().unwrap_or_else(PoisonError::into_inner);
            let forgotten = brokers.has_forgotten(known, Instant::now());
            self.has_forgotten.fetch_or(forgotten, Ordering::Relaxed);
        }
    }
}
