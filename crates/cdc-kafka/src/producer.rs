//! The ordered producer.

mod context;
mod limits;
mod token;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cdc_event::Sequence;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::context::Deliveries;
pub(crate) use self::context::DeliveryContext;
pub use self::limits::{InFlight, Limits};
use self::token::Token;
use crate::client::Reachability;
use crate::code::KafkaCode;
use crate::error::Error;
use crate::options::{KafkaOptions, configuration_error};
use crate::record::{HeaderRef, OutgoingRecord, OwnedRecord, Place};

/// Sends records in the order in which they are given, and reports each delivery exactly once.
///
/// Idempotent, acknowledged by all in-sync replicas, without a time limit: while Kafka is away,
/// records wait, [`Limits`] fill up, and [`try_send`](Self::try_send) says so. Records of one key
/// arrive in the order of sending unless a delivery fails; a delivery that fails for another
/// reason than [`Disposition::Poison`](crate::Disposition::Poison) makes the producer useless for
/// the order: close it, make another, and send again from the watermark.
///
/// One task is to send. Deliveries may be taken by another.
///
/// Dropping it gives up what is in flight and returns at once; a thread of its own lets go of the
/// connections. [`close`](Self::close) waits for that.
pub struct OrderedProducer {
    producer: Arc<NativeProducer>,
    deliveries: Arc<Deliveries>,
    limits: Limits,
    /// Resolves when the thread has let go of the connections.
    gone: oneshot::Receiver<()>,
}

/// librdkafka's producer with our context.
pub(crate) type NativeProducer = BaseProducer<DeliveryContext>;

/// What became of a record.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// As given to [`OrderedProducer::try_send`].
    pub sequence: Sequence,
    /// Acknowledged by all in-sync replicas, or why not.
    pub result: Result<(), Error>,
    /// Where the record is now; `None` when it was not delivered.
    pub place: Option<Place>,
    /// The record itself when it was not delivered, so that it can be kept elsewhere; `None` when
    /// it was.
    pub record: Option<Box<OwnedRecord>>,
    /// When the report arrived in this process.
    pub acknowledged_at: Instant,
}

/// Why a record was not taken. Nothing was enqueued.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The limits are reached: wait for [`OrderedProducer::capacity`], then send it again. Of a
    /// [`gapless`](OrderedProducer::gapless) producer also: a record was refused, and its report is to be taken.
    #[error("as much as allowed is in flight to Kafka")]
    Full,
    /// The record or the producer is refused.
    #[error(transparent)]
    Failed(Error),
}

/// The thread looks this often whether its producer is still wanted, and for fatal errors. Reports are served as
/// they come. Each look costs up to a millisecond of spinning in rdkafka, which counts in an idle process; in
/// return a close takes up to this long.
const POLL: Duration = Duration::from_millis(500);

/// Between two times that the queue of a failed transaction is given up.
const PURGE_INTERVAL: Duration = Duration::from_millis(100);

impl OrderedProducer {
    /// Makes a producer; connections are made in the background, whether Kafka is there or not.
    ///
    /// # Errors
    ///
    /// A property that is refused or not understood, or no thread to be had.
    pub fn new(options: &KafkaOptions, limits: Limits) -> Result<Self, Error> {
        let config = options.producer_config(limits)?;
        Self::with_context(&config, limits, DeliveryContext::default())
    }

    /// A producer that ends when the brokers refuse a record: nothing that was sent after it to the same partition
    /// arrives, which librdkafka would deliver otherwise before anybody knows of the refusal. It is the broker that
    /// keeps back what was under way already, by its sequence; so the very first batch in a partition is not covered.
    ///
    /// Of what failed, only what is not [given up](Error::is_given_up) was refused. Nothing is taken meanwhile
    /// ([`SendError::Full`]), and nothing ever after: once all reports are taken, [`fatal`](Self::fatal) says so.
    /// What librdkafka had put back to be sent again is reported only after [`give_up`](Self::give_up).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn gapless(options: &KafkaOptions, limits: Limits) -> Result<Self, Error> {
        let config = options.gapless_config(limits)?;
        Self::with_context(&config, limits, DeliveryContext::default())
    }

    /// A producer that reports to `context`, which it may share with others.
    pub(crate) fn with_context(
        config: &ClientConfig,
        limits: Limits,
        context: DeliveryContext,
    ) -> Result<Self, Error> {
        let deliveries = Arc::clone(&context.deliveries);
        let producer: NativeProducer = config
            .create_with_context(context)
            .map_err(configuration_error)?;
        let producer = Arc::new(producer);
        let (done, gone) = oneshot::channel();
        let served = Arc::clone(&producer);
        thread::Builder::new()
            .name("kafka-deliveries".into())
            .spawn(move || serve(served, done))
            .map_err(|error| Error::Thread(Arc::new(error)))?;
        Ok(Self {
            producer,
            deliveries,
            limits,
            gone,
        })
    }

    /// For calls of librdkafka that this type does not make. The connections stay as long as the
    /// handle is held.
    pub(crate) fn native(&self) -> Arc<NativeProducer> {
        Arc::clone(&self.producer)
    }

    /// A transaction begins.
    pub(crate) fn begin_transaction(&self) {
        self.deliveries.begin_transaction();
    }

    /// Resolves when the delivery of every record of a transaction has been reported, taken or not, or when the producer is
    /// useless. Cancel safe.
    ///
    /// A record that is not delivered fails the transaction, and librdkafka then gives up all that is queued. What it takes between
    /// that and its being known stays in the queue, unsent and unreported, as does what comes back from a broker to be sent
    /// again: hence it is given up here.
    pub(crate) async fn drained(&self) {
        if !self.deliveries.drained_or_failed().await {
            return;
        }
        loop {
            self.producer
                .purge(PurgeConfig::default().queue().non_blocking());
            if timeout(PURGE_INTERVAL, self.deliveries.drained())
                .await
                .is_ok()
            {
                return;
            }
        }
    }

    /// Gives a record to librdkafka, which copies it. Never blocks.
    ///
    /// The record is in flight until its [`Delivery`] is taken. The limits may be exceeded by the
    /// one record that reaches them, so that a record of any size can be sent.
    ///
    /// # Errors
    ///
    /// See [`SendError`]; nothing was enqueued then.
    pub fn try_send(
        &self,
        record: OutgoingRecord<'_>,
        sequence: Sequence,
    ) -> Result<(), SendError> {
        let deliveries = &self.deliveries;
        if deliveries.in_flight.is_full(self.limits) {
            return Err(SendError::Full);
        }
        let invalid = |reason| {
            let topic = record.topic.into();
            SendError::Failed(Error::InvalidRecord { topic, reason })
        };
        let token = Token::new(sequence, &record)
            .ok_or_else(|| invalid("its sequence is not below 2^48"))?;
        let headers = native_headers(record.headers)
            .ok_or_else(|| invalid("the name of a header has a NUL in it"))?;
        // Counted before it is sent: its delivery may be taken before `send` returns.
        let size = record.size();
        deliveries.in_flight.add(size);
        let sent = self.producer.send(BaseRecord {
            topic: record.topic,
            partition: record.partition.map(|partition| partition.0),
            payload: record.value,
            key: record.key,
            timestamp: record.timestamp.map(|timestamp| timestamp.0),
            headers,
            delivery_opaque: token.opaque(),
        });
        match sent {
            Ok(()) => Ok(()),
            Err((error, _)) => {
                deliveries.in_flight.remove(1, size);
                Err(self.refusal(record.topic, &error))
            }
        }
    }

    /// Whether less than three quarters of both limits is in flight: what [`capacity`](Self::capacity) waits
    /// for.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.deliveries.has_room(self.limits)
    }

    /// Resolves when there is room again: below three quarters of both limits. Never for a
    /// [`gapless`](Self::gapless) producer that has ended.
    ///
    /// Cancel safe.
    pub async fn capacity(&self) {
        let deliveries = &self.deliveries;
        deliveries
            .room
            .wait_until(|| deliveries.has_room(self.limits))
            .await;
    }

    /// Resolves when a delivery waits to be taken, and always once the producer has become useless
    /// ([`fatal`](Self::fatal)): what is in flight then may never be reported.
    ///
    /// Cancel safe.
    pub async fn delivered(&self) {
        let deliveries = &self.deliveries;
        deliveries
            .reported
            .wait_until(|| deliveries.has_news())
            .await;
    }

    /// Appends the deliveries that have been reported. Never blocks.
    pub fn take_deliveries(&self, into: &mut Vec<Delivery>) {
        let deliveries = &self.deliveries;
        deliveries.take(into);
        if deliveries.has_room(self.limits) {
            deliveries.room.notify();
        }
    }

    /// Gives up what is in flight: each record is reported soon as not delivered, unless its acknowledgement is here
    /// already. What had been sent may be written all the same, even after the report.
    ///
    /// Takes nothing back and keeps no order: the producer is to be closed afterwards. Never blocks.
    pub fn give_up(&self) {
        let everything = PurgeConfig::default().queue().inflight().non_blocking();
        self.producer.purge(everything);
    }

    /// What is in flight: sent, and its delivery not taken.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.deliveries.in_flight.read()
    }

    /// The error that made the producer useless, if one did. That it has [forgotten every
    /// broker](Error::BrokersForgotten) is found out only with the property `statistics.interval.ms`.
    #[must_use]
    pub fn fatal(&self) -> Option<Error> {
        fatal(&self.producer)
    }

    /// What the client last heard of the brokers.
    #[must_use]
    pub fn reachability(&self) -> Reachability {
        self.deliveries.reports.read()
    }

    /// Gives up what is in flight and waits until the connections are gone, so that nothing of
    /// this producer can arrive after what the next one sends.
    ///
    /// Returns false when that took longer than `deadline`; it then goes on in the background.
    /// Records whose delivery is to be awaited must be awaited before. Cancel safe: it is then
    /// like a drop.
    pub async fn close(self, deadline: Duration) -> bool {
        let Self { producer, gone, .. } = self;
        drop(producer);
        tokio::time::timeout(deadline, gone).await.is_ok()
    }

    fn refusal(&self, topic: &str, error: &KafkaError) -> SendError {
        let code = KafkaCode::of(error);
        match (error, code.get()) {
            (_, RDKafkaErrorCode::QueueFull) => SendError::Full,
            (_, RDKafkaErrorCode::Fatal) => match self.fatal() {
                Some(error) => SendError::Failed(error),
                None => {
                    self.deliveries.ends();
                    SendError::Full
                }
            },
            (KafkaError::Nul(_), _) => SendError::Failed(Error::InvalidRecord {
                topic: topic.into(),
                reason: "the name of the topic has a NUL in it",
            }),
            _ => SendError::Failed(Error::Record {
                topic: topic.into(),
                code,
            }),
        }
    }
}

impl std::fmt::Debug for OrderedProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderedProducer")
            .field("limits", &self.limits)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// Why the producer is of no more use, if it is. What ended at a refused record still is, until the refusal is taken.
fn fatal(producer: &NativeProducer) -> Option<Error> {
    let context = producer.context();
    if context.has_forgotten() {
        return Some(Error::BrokersForgotten);
    }
    let (code, detail) = producer.client().fatal_error()?;
    let refused = code == RDKafkaErrorCode::GaplessGuarantee;
    if refused && context.deliveries.in_flight.read().records > 0 {
        return None;
    }
    Some(Error::Fatal {
        detail,
        code: KafkaCode::new(code),
    })
}

/// Serves delivery reports until nobody else holds the producer, then lets go of it here, where
/// its waiting for librdkafka's threads holds nobody up.
fn serve(producer: Arc<BaseProducer<DeliveryContext>>, gone: oneshot::Sender<()>) {
    while Arc::strong_count(&producer) > 1 {
        producer.poll(POLL);
        // The error callback does not tell a fatal error from another one.
        if fatal(&producer).is_some() {
            producer.context().deliveries.became_useless();
        }
    }
    drop(producer);
    drop(gone);
}

/// Headers in librdkafka's form, if there are any; `None` for a name that it would cut short.
fn native_headers(headers: &[HeaderRef<'_>]) -> Option<Option<OwnedHeaders>> {
    if headers.is_empty() {
        return Some(None);
    }
    let mut native = OwnedHeaders::new_with_capacity(headers.len());
    for HeaderRef { name, value } in headers {
        if name.contains('\0') {
            return None;
        }
        native = native.insert(Header {
            key: name,
            value: *value,
        });
    }
    Some(Some(native))
}
