//! The transactional producer.

mod calls;
mod error;
mod offsets;
mod settings;

use std::time::{Duration, Instant};

use cdc_event::Sequence;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::calls::InitError;
pub use self::error::TransactionError;
use self::offsets::GroupOffsets;
pub use self::settings::{
    InvalidTransactionTimeout, InvalidTransactionalId, TransactionTimeout, TransactionalId,
};
use crate::consumer::GroupMetadata;
use crate::error::Error;
use crate::options::KafkaOptions;
use crate::producer::{DeliveryContext, Limits, OrderedProducer, SendError};
use crate::record::{Offset, OutgoingRecord, TopicPartition};

/// Sends records in transactions: readers of committed records see all of one or nothing of it, and nothing of a
/// producer that was replaced.
///
/// An [`OrderedProducer`] in what concerns limits, order and deliveries. A delivery only says that the brokers have
/// the record; [`commit`](Self::commit) makes it seen. When a transaction fails, its records come back as failed
/// deliveries: the one that Kafka refused with its own reason, the others as purged, which says nothing about them.
///
/// Two producers of librdkafka take turns, since the brokers refuse the next transaction of one for some milliseconds
/// after a commit, and librdkafka then waits for twenty. A transaction begins after the one before it has ended, so
/// that order and fencing are those of one producer.
///
/// There is no time limit: while Kafka is away, records wait and a commit waits. Away for longer than the
/// [`TransactionTimeout`], the brokers end the transaction, and the commit is [`TransactionError::Fenced`].
///
/// Dropping it with a transaction open leaves that to the next [`open`](Self::open) of the id, or to the timeout.
pub struct TransactionalProducer {
    producers: [OrderedProducer; 2],
    /// Whose turn it is.
    current: usize,
    state: State,
    /// What is to be committed with the open transaction.
    offsets: Option<GroupOffsets>,
    stop: CancellationToken,
    /// What runs on other threads must not go on without its owner.
    _stop_on_drop: DropGuard,
}

/// What may be done next.
enum State {
    /// Begin.
    Idle,
    /// Send, commit, abort.
    Open,
    /// A commit waits until every record is reported; commit, abort.
    Draining,
    /// A commit is with librdkafka; commit, to learn what became of it.
    Committing(JoinHandle<Result<(), TransactionError>>),
    /// Abort.
    Failed,
    /// An abort is with librdkafka; abort, to learn what became of it.
    Aborting(JoinHandle<Result<(), TransactionError>>),
    /// Nothing: the producer is useless.
    Ended,
}

impl State {
    const fn describe(&self) -> &'static str {
        match self {
            Self::Idle => "none is open",
            Self::Open => "one is open",
            Self::Draining | Self::Committing(_) => "one is being committed",
            Self::Failed => "the last one has failed and must be aborted",
            Self::Aborting(_) => "one is being aborted",
            Self::Ended => "the producer can only be closed",
        }
    }
}

impl TransactionalProducer {
    /// Makes the producer, fences every older one of the id, and waits until what they left open is ended: what
    /// can be read of them afterwards is all that ever will be.
    ///
    /// Tries again until `deadline` has passed. Cancel safe: older producers may have been fenced.
    ///
    /// # Errors
    ///
    /// A property that is refused or not understood; [`Error::Unreachable`] after the deadline; [`Error::Fatal`] when
    /// Kafka refuses the id or the timeout.
    pub async fn open(
        options: &KafkaOptions,
        limits: Limits,
        id: &TransactionalId,
        timeout: TransactionTimeout,
        deadline: Duration,
    ) -> Result<Self, Error> {
        let until = Instant::now() + deadline;
        let context = DeliveryContext::default();
        let make = |turn: &str| {
            let config = options.transactional_config(limits, &format!("{id}-{turn}"), timeout)?;
            OrderedProducer::with_context(&config, limits, context.sharing())
        };
        let stop = CancellationToken::new();
        let opened = Self {
            producers: [make("0")?, make("1")?],
            current: 0,
            state: State::Idle,
            offsets: None,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        };
        let [first, second] = &opened.producers;
        tokio::try_join!(
            opened.init(first, options, until),
            opened.init(second, options, until),
        )?;
        Ok(opened)
    }

    /// Begins a transaction. Nothing is sent by it; it takes some 50 µs.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfTurn`] unless the one before it was committed or aborted; [`Error::Fatal`] when the producer was
    /// replaced meanwhile.
    pub fn begin(&mut self) -> Result<(), Error> {
        if !matches!(self.state, State::Idle) {
            return Err(self.out_of_turn("begin"));
        }
        let next = (self.current + 1) % self.producers.len();
        calls::begin(&self.producers[next].native()).map_err(|failed| {
            self.state = State::Ended;
            failed.into_error()
        })?;
        self.current = next;
        self.producer().begin_transaction();
        self.state = State::Open;
        self.offsets = None;
        Ok(())
    }

    /// Has the open transaction commit offsets of a consumer group too, each the one that the group is to go on at. A
    /// second call replaces the first.
    ///
    /// The commit is [`TransactionError::Abortable`] when the group has moved on since `group` was taken: the
    /// partitions may be another member's by now.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfTurn`] when no transaction is open.
    pub fn set_offsets(
        &mut self,
        offsets: Vec<(TopicPartition, Offset)>,
        group: GroupMetadata,
    ) -> Result<(), Error> {
        if !matches!(self.state, State::Open) {
            return Err(self.out_of_turn("commit offsets in"));
        }
        self.offsets = Some(GroupOffsets::new(offsets, group));
        Ok(())
    }

    /// Gives a record to the open transaction, as [`OrderedProducer::try_send`] does. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`SendError`]; nothing was enqueued then. A record that is refused here does not make the transaction
    /// fail. [`Error::OutOfTurn`] when none is open. An [`Error::is_failed_transaction`] when the open one has failed:
    /// [`commit`](Self::commit), which cannot succeed then, and the deliveries say why.
    pub fn try_send(
        &self,
        record: OutgoingRecord<'_>,
        sequence: Sequence,
    ) -> Result<(), SendError> {
        match self.state {
            State::Open => self.producer().try_send(record, sequence),
            _ => Err(SendError::Failed(self.out_of_turn("send in"))),
        }
    }

    /// Waits until every record of the transaction is delivered, and commits it. When one is not delivered, the transaction
    /// has failed, and what is still queued is given up.
    ///
    /// Deliveries may be taken before or after. Cancel safe: the commit is not taken back, and a second call waits for
    /// the same one. It may go on without that call, so that its outcome is not known until there is one.
    ///
    /// # Errors
    ///
    /// See [`TransactionError`] for what to do.
    pub async fn commit(&mut self) -> Result<(), TransactionError> {
        loop {
            match &mut self.state {
                State::Open => self.state = State::Draining,
                State::Draining => {
                    self.producer().drained().await;
                    let (producer, stop) = (self.producer().native(), self.stop.clone());
                    let offsets = self.offsets.take();
                    let commit = move || calls::commit(&producer, offsets.as_ref(), &stop);
                    self.state = State::Committing(tokio::task::spawn_blocking(commit));
                }
                State::Committing(task) => {
                    let outcome = finished(task).await;
                    self.state = match outcome {
                        Ok(()) => State::Idle,
                        Err(TransactionError::Abortable(_)) => State::Failed,
                        Err(TransactionError::Fenced(_) | TransactionError::Fatal(_)) => {
                            State::Ended
                        }
                    };
                    return outcome;
                }
                State::Idle | State::Failed | State::Aborting(_) | State::Ended => {
                    return Err(TransactionError::Fatal(self.out_of_turn("commit")));
                }
            }
        }
    }

    /// Ends the open transaction so that nothing of it is ever seen. What is queued comes back as failed deliveries.
    ///
    /// Cancel safe: the abort goes on, and a second call waits for the same one.
    ///
    /// # Errors
    ///
    /// The producer is of no more use then. [`Error::OutOfTurn`] when no transaction is open, or when one is with
    /// Kafka to be committed: call [`commit`](Self::commit) again to learn what became of it.
    pub async fn abort(&mut self) -> Result<(), Error> {
        loop {
            match &mut self.state {
                State::Open | State::Draining | State::Failed => {
                    let (producer, stop) = (self.producer().native(), self.stop.clone());
                    let abort = move || calls::abort(&producer, &stop);
                    self.state = State::Aborting(tokio::task::spawn_blocking(abort));
                }
                State::Aborting(task) => {
                    let outcome = finished(task).await;
                    self.state = match outcome {
                        Ok(()) => State::Idle,
                        Err(_) => State::Ended,
                    };
                    return outcome.map_err(TransactionError::into_error);
                }
                State::Idle | State::Committing(_) | State::Ended => {
                    return Err(self.out_of_turn("abort"));
                }
            }
        }
    }

    /// The producer whose turn it is. Deliveries, limits and what is in flight are those of all transactions. Records
    /// are to be sent with [`try_send`](Self::try_send).
    #[must_use]
    pub fn producer(&self) -> &OrderedProducer {
        &self.producers[self.current]
    }

    /// The error that made the producer useless, if one did: for example that it was replaced.
    #[must_use]
    pub fn fatal(&self) -> Option<Error> {
        self.producers.iter().find_map(OrderedProducer::fatal)
    }

    /// Aborts an open transaction if half of the deadline is enough for that, gives up what is in flight, and waits
    /// until the connections are gone.
    ///
    /// Returns false when that took longer than `deadline`; it then goes on in the background. Cancel safe: it is then
    /// like a drop.
    pub async fn close(mut self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        // It is for the readers, who else wait for the next producer or the timeout: no reason to stay.
        drop(tokio::time::timeout(deadline / 2, self.end()).await);
        self.stop.cancel();
        let [first, second] = self.producers;
        let left = until.saturating_duration_since(Instant::now());
        let (first, second) = tokio::join!(first.close(left), second.close(left));
        first && second
    }

    /// Comes to the end of a transaction, whichever.
    async fn end(&mut self) {
        if let State::Committing(task) = &mut self.state {
            self.state = match finished(task).await {
                Err(TransactionError::Abortable(_)) => State::Failed,
                Ok(()) | Err(_) => State::Ended,
            };
        }
        // Nobody is left to be told that it failed.
        self.abort().await.ok();
    }

    async fn init(
        &self,
        producer: &OrderedProducer,
        options: &KafkaOptions,
        until: Instant,
    ) -> Result<(), Error> {
        let (native, stop) = (producer.native(), self.stop.clone());
        let init = tokio::task::spawn_blocking(move || calls::init(&native, until, &stop));
        match init.await.map_err(|_| Error::Abandoned)? {
            Ok(()) => Ok(()),
            Err(InitError::Failed(error)) => Err(error),
            Err(InitError::Timeout(code)) => Err(Error::Unreachable {
                action: "take a transactional id over",
                brokers: options.brokers.clone(),
                detail: producer
                    .reachability()
                    .last_error
                    .map(|(error, _)| error.to_string()),
                code,
            }),
        }
    }

    const fn out_of_turn(&self, action: &'static str) -> Error {
        let state = self.state.describe();
        Error::OutOfTurn { action, state }
    }
}

impl std::fmt::Debug for TransactionalProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransactionalProducer")
            .field("producer", self.producer())
            .field("state", &self.state.describe())
            .finish_non_exhaustive()
    }
}

async fn finished(
    task: &mut JoinHandle<Result<(), TransactionError>>,
) -> Result<(), TransactionError> {
    task.await
        .unwrap_or(Err(TransactionError::Fatal(Error::Abandoned)))
}
