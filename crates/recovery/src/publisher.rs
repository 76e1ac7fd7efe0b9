//! Sends records and waits for their acknowledgement.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cdc_event::{Backoff, Sequence};
use cdc_kafka::{
    Delivery, Error, KafkaOptions, Limits, OrderedProducer, OutgoingRecord, SendError,
};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use cdc_event::random_fraction;

/// A producer for many who each wait for one record. It is made anew when it has become useless.
///
/// Somebody has to run [`serve`](Self::serve).
#[derive(Debug)]
pub(crate) struct Publisher {
    options: KafkaOptions,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    producer: Arc<OrderedProducer>,
    next: u64,
    waiting: HashMap<Sequence, oneshot::Sender<Result<(), Error>>>,
}

/// How long to wait for room before looking whether there is another producer by now.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Publisher {
    pub(crate) fn new(options: KafkaOptions) -> Result<Self, Error> {
        let producer = Arc::new(OrderedProducer::new(&options, Limits::default())?);
        let state = State {
            producer,
            next: 0,
            waiting: HashMap::new(),
        };
        Ok(Self {
            options,
            state: Mutex::new(state),
        })
    }

    /// Resolves when Kafka has acknowledged or refused the record; not before, however long Kafka is away.
    ///
    /// Cancel safe in that nothing breaks; the record may be delivered all the same.
    pub(crate) async fn publish(&self, record: OutgoingRecord<'_>) -> Result<(), Error> {
        loop {
            match self.try_send(record)? {
                Sent::Waiting(report) => return report.await.unwrap_or(Err(Error::Abandoned)),
                // Whether there is room by now or another producer: look again.
                Sent::Full(producer) => drop(timeout(LOOK_AGAIN, producer.capacity()).await),
            }
        }
    }

    fn try_send(&self, record: OutgoingRecord<'_>) -> Result<Sent, Error> {
        let mut state = self.lock();
        let sequence = Sequence::new(state.next);
        match state.producer.try_send(record, sequence) {
            Ok(()) => {
                // Under the lock: its delivery cannot be looked up before it is here.
                let (report, reported) = oneshot::channel();
                state.waiting.insert(sequence, report);
                state.next += 1;
                Ok(Sent::Waiting(reported))
            }
            Err(SendError::Full) => Ok(Sent::Full(Arc::clone(&state.producer))),
            Err(SendError::Failed(error)) => Err(error),
        }
    }

    /// Passes deliveries on until it is cancelled. Who waits then gets no answer any more.
    pub(crate) async fn serve(&self, stop: &CancellationToken) {
        let mut deliveries = Vec::new();
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        loop {
            let producer = Arc::clone(&self.lock().producer);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = producer.delivered() => {}
            }
            producer.take_deliveries(&mut deliveries);
            self.report(&mut deliveries);
            let Some(error) = producer.fatal() else {
                continue;
            };
            drop(producer);
            tracing::warn!(%error, "making another producer for retries and dead letters");
            self.replace(&error);
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(backoff.next_delay(random_fraction())) => {}
            }
        }
        self.lock().waiting.clear();
    }

    fn report(&self, deliveries: &mut Vec<Delivery>) {
        let mut state = self.lock();
        for delivery in deliveries.drain(..) {
            if let Some(report) = state.waiting.remove(&delivery.sequence) {
                // Who waited may have given up.
                drop(report.send(delivery.result));
            }
        }
    }

    /// What was in flight may never be reported, so it is reported here.
    fn replace(&self, error: &Error) {
        match OrderedProducer::new(&self.options, Limits::default()) {
            Ok(producer) => {
                let mut state = self.lock();
                state.producer = Arc::new(producer);
                for (_, report) in state.waiting.drain() {
                    drop(report.send(Err(error.clone())));
                }
            }
            Err(error) => tracing::error!(%error, "no producer for retries and dead letters"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Sent {
    Waiting(oneshot::Receiver<Result<(), Error>>),
    Full(Arc<OrderedProducer>),
}
