//! librdkafka's transactional calls, which block, made so that they can be given up.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use tokio_util::sync::CancellationToken;

use super::error::{TransactionError, Verdict};
use super::offsets::GroupOffsets;
use crate::code::KafkaCode;
use crate::error::Error;
use crate::producer::NativeProducer;

/// A call is made again after this long, to see whether it is still wanted; what it does goes on meanwhile.
const SLICE: Duration = Duration::from_millis(500);

/// Between calls that fail at once, for example because the coordinator is not known.
const PAUSE: Duration = Duration::from_millis(20);

/// Kafka's own topic of transactions.
const COORDINATORS: &str = "__transaction_state";

/// Fences older producers of the id, and waits until what they left open is ended.
pub(super) fn init(
    producer: &NativeProducer,
    deadline: Instant,
    stop: &CancellationToken,
) -> Result<(), InitError> {
    connect_to_any_broker(producer, deadline);
    let mut last = None;
    loop {
        let slice = SLICE.min(deadline.saturating_duration_since(Instant::now()));
        let code = match attempt(producer, "open", || producer.init_transactions(slice)) {
            Ok(()) => return Ok(()),
            Err(Verdict::Failed(failed)) => return Err(InitError::Failed(failed.into_error())),
            Err(Verdict::Retry(code)) => code,
        };
        if Instant::now() >= deadline {
            return Err(InitError::Timeout(last.unwrap_or(code)));
        }
        if stop.is_cancelled() {
            return Err(InitError::Failed(Error::Abandoned));
        }
        last = Some(code);
        thread::park_timeout(PAUSE);
    }
}

/// librdkafka looks for the coordinator at once if some broker is connected, and otherwise after half a second. It drops
/// the connection of the bootstrap address once it has learned the brokers, and makes another only when it is asked
/// something: hence two questions.
fn connect_to_any_broker(producer: &NativeProducer, deadline: Instant) {
    for _ in 0..2 {
        let slice = SLICE.min(deadline.saturating_duration_since(Instant::now()));
        // What it says does not matter, and whether it fails is seen right afterwards.
        drop(producer.client().fetch_metadata(Some(COORDINATORS), slice));
    }
}

/// Why a producer could not be opened.
pub(super) enum InitError {
    Failed(Error),
    /// With the last thing that librdkafka would have tried again.
    Timeout(KafkaCode),
}

/// Begins a transaction: a word between two threads.
pub(super) fn begin(producer: &NativeProducer) -> Result<(), TransactionError> {
    match attempt(producer, "begin", || producer.begin_transaction()) {
        Ok(()) => Ok(()),
        Err(Verdict::Failed(failed)) => Err(failed),
        Err(Verdict::Retry(code)) => Err(TransactionError::Fatal(Error::Transaction {
            action: "begin",
            detail: "another call is under way".into(),
            code,
        })),
    }
}

/// Commits a transaction whose every record has been reported. Tries again without end.
pub(super) fn commit(
    producer: &NativeProducer,
    offsets: Option<&GroupOffsets>,
    stop: &CancellationToken,
) -> Result<(), TransactionError> {
    if let Some(offsets) = offsets {
        insist(producer, "commit offsets in", stop, || {
            producer.send_offsets_to_transaction(&offsets.list()?, offsets.group(), SLICE)
        })?;
    }
    forget_what_was_reported(producer);
    insist(producer, "commit", stop, || {
        producer.commit_transaction(SLICE)
    })
}

/// Aborts a transaction, with what is queued. Tries again without end.
pub(super) fn abort(
    producer: &NativeProducer,
    stop: &CancellationToken,
) -> Result<(), TransactionError> {
    loop {
        let aborted = insist(producer, "abort", stop, || {
            producer.abort_transaction(SLICE)
        });
        match aborted {
            // An abort that fails in this way is to be made again from its beginning.
            Err(TransactionError::Abortable(_)) if !stop.is_cancelled() => {
                thread::park_timeout(PAUSE);
            }
            ended => return ended,
        }
    }
}

fn insist(
    producer: &NativeProducer,
    action: &'static str,
    stop: &CancellationToken,
    call: impl Fn() -> Result<(), KafkaError>,
) -> Result<(), TransactionError> {
    loop {
        match attempt(producer, action, &call) {
            Ok(()) => return Ok(()),
            Err(Verdict::Failed(failed)) => return Err(failed),
            Err(Verdict::Retry(_)) if stop.is_cancelled() => {
                return Err(TransactionError::Fatal(Error::Abandoned));
            }
            Err(Verdict::Retry(_)) => thread::park_timeout(PAUSE),
        }
    }
}

fn attempt(
    producer: &NativeProducer,
    action: &'static str,
    call: impl FnOnce() -> Result<(), KafkaError>,
) -> Result<(), Verdict> {
    if let Some((code, detail)) = producer.client().fatal_error() {
        let failed = TransactionError::of_fatal(KafkaCode::new(code), detail);
        return Err(Verdict::Failed(failed));
    }
    match call() {
        Ok(()) => Ok(()),
        Err(KafkaError::Transaction(error)) => Err(Verdict::of(action, &error)),
        // rdkafka's own wait for the records, before librdkafka is asked.
        Err(other) => Err(Verdict::Retry(KafkaCode::of(&other))),
    }
}

/// librdkafka lets go of a record a moment after it reported it. rdkafka's commit, which finds one that is not
/// gone, sleeps for a tenth of a second: more than all the rest takes.
fn forget_what_was_reported(producer: &NativeProducer) {
    const PATIENCE: Duration = Duration::from_millis(20);
    let started = Instant::now();
    while producer.in_flight_count() > 0 && started.elapsed() < PATIENCE {
        thread::yield_now();
    }
}
