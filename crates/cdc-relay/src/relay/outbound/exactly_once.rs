//! Kafka transactions, each with the checkpoint of what it holds.

use std::time::Duration;

use cdc_event::Sequence;
use cdc_kafka::{
    Delivery, OrderedProducer, OutgoingRecord, OwnedRecord, SendError, TransactionalProducer,
};
use pg_replication::{CommitToken, PgTimestamp, ReplicationStream};
use tokio::time::Instant;

use super::{Checkpoints, Frontier, IDLE_INTERVAL, Mark};
use crate::relay::checkpoint::{Checkpoint, PartialTransaction};
use crate::relay::error::RelayError;
use crate::relay_state::RelayMetrics;

/// How large a transaction may become, and how long it may stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) struct TransactionLimits {
    /// While the relay keeps up: what a consumer waits for at most.
    pub(in crate::relay) interval: Duration,
    /// With a backlog, where fewer and larger transactions are cheaper.
    pub(in crate::relay) backlog_interval: Duration,
    pub(in crate::relay) records: usize,
    pub(in crate::relay) bytes: usize,
}

#[derive(Debug)]
pub(in crate::relay) struct ExactlyOnce {
    producer: TransactionalProducer,
    limits: TransactionLimits,
    batch: Batch,
    /// As of the newest mark.
    frontier: Frontier,
    checkpoints: Checkpoints,
    /// Of the newest mark: it speaks for those before.
    token: Option<CommitToken>,
    /// PostgreSQL's transactions since the last one of Kafka's, and when they were committed.
    transactions: u64,
    commits: Vec<PgTimestamp>,
    urgent: bool,
    /// When the last transaction was committed.
    committed_at: Instant,
    next: u64,
    deliveries: Vec<Delivery>,
    /// The first record that was given up with the transaction.
    unsent: Option<Box<OwnedRecord>>,
}

/// The transaction in Kafka.
#[derive(Debug)]
enum Batch {
    None,
    Open(Open),
    Committing(Noted),
    /// It has failed before all of it was sent. Its end says of what.
    Failing {
        error: cdc_kafka::Error,
        token: Option<CommitToken>,
        records: usize,
    },
    /// Committed, and its token not given back yet.
    Committed(Noted),
}

/// What a transaction says of the stream, and what it confirms.
#[derive(Debug)]
struct Noted {
    checkpoint: Checkpoint,
    /// Taken when the checkpoint was: what comes later is not confirmed by it.
    token: Option<CommitToken>,
    records: usize,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    since: Instant,
    records: usize,
    bytes: usize,
}

impl ExactlyOnce {
    pub(in crate::relay) fn new(
        producer: TransactionalProducer,
        limits: TransactionLimits,
        checkpoints: Checkpoints,
    ) -> Self {
        Self {
            producer,
            limits,
            batch: Batch::None,
            frontier: checkpoints.frontier(),
            checkpoints,
            token: None,
            transactions: 0,
            commits: Vec::new(),
            urgent: false,
            committed_at: Instant::now(),
            next: 1,
            deliveries: Vec::new(),
            unsent: None,
        }
    }

    /// Writes one checkpoint in a transaction of its own.
    pub(in crate::relay) async fn write(
        producer: &mut TransactionalProducer,
        checkpoints: &Checkpoints,
        checkpoint: &Checkpoint,
    ) -> Result<(), RelayError> {
        let failed = |source| RelayError::Kafka {
            doing: "write a checkpoint",
            source,
        };
        producer.begin().map_err(failed)?;
        let number = Sequence::new(0);
        match checkpoints.record(checkpoint, |record| producer.try_send(record, number)) {
            // Nothing is under way yet.
            Ok(()) | Err(SendError::Full) => {}
            Err(SendError::Failed(source)) => return Err(failed(source)),
        }
        let committed = producer.commit().await;
        producer.producer().take_deliveries(&mut Vec::new());
        committed.map_err(|source| RelayError::Transaction { source })
    }

    pub(super) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    pub(super) fn producer(&self) -> &OrderedProducer {
        self.producer.producer()
    }

    pub(super) fn has_room(&self) -> bool {
        self.producer().has_room() && !self.is_full()
    }

    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.batch, Batch::None)
    }

    fn is_full(&self) -> bool {
        match self.batch {
            Batch::Open(open) => {
                open.records >= self.limits.records || open.bytes >= self.limits.bytes
            }
            Batch::None => false,
            Batch::Committing(_) | Batch::Failing { .. } | Batch::Committed(_) => true,
        }
    }

    pub(super) fn try_send(&mut self, record: OutgoingRecord<'_>) -> Result<(), SendError> {
        if self.is_full() {
            return Err(SendError::Full);
        }
        let mut open = match self.batch {
            Batch::Open(open) => open,
            _ => self.begin().map_err(SendError::Failed)?,
        };
        open.bytes += record.size();
        match self.producer.try_send(record, Sequence::new(self.next)) {
            Ok(()) => {}
            Err(SendError::Failed(error)) if error.is_failed_transaction() => {
                self.batch = Batch::Failing {
                    error,
                    token: None,
                    // With this one, which says more than one.
                    records: open.records + 1,
                };
                return Err(SendError::Full);
            }
            Err(other) => return Err(other),
        }
        open.records += 1;
        self.next += 1;
        self.batch = Batch::Open(open);
        Ok(())
    }

    fn begin(&mut self) -> Result<Open, cdc_kafka::Error> {
        self.producer.begin()?;
        self.unsent = None;
        let open = Open {
            since: Instant::now(),
            records: 0,
            bytes: 0,
        };
        self.batch = Batch::Open(open);
        Ok(open)
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        self.frontier.pass(&mark);
        self.transactions += u64::from(mark.is_transaction());
        self.commits.extend(mark.committed_at());
        self.urgent |= mark.is_urgent();
        if mark.token.is_some() {
            self.token = mark.token;
        }
    }

    /// A refusal fails the whole transaction; an acknowledgement says nothing before the commit.
    pub(super) fn settle(&mut self) -> Result<(), RelayError> {
        self.producer
            .producer()
            .take_deliveries(&mut self.deliveries);
        // Of the others it is known only that their transaction failed, which the commit says better.
        let checkpoint = match self.batch {
            Batch::Committing(_) => Some(Sequence::new(self.next - 1)),
            Batch::None | Batch::Open(_) | Batch::Failing { .. } | Batch::Committed(_) => None,
        };
        let refused = self.deliveries.drain(..).find_map(|delivery| {
            let source = delivery.result.err()?;
            if checkpoint == Some(delivery.sequence) {
                return None;
            }
            let error = RelayError::refused(source, delivery.record);
            if error.poison().is_some() {
                return Some(error);
            }
            let (_, record) = error.without_record();
            self.unsent = self.unsent.take().or(record);
            None
        });
        let fatal = || {
            let source = self.producer.producer().fatal()?;
            Some(RelayError::refused(source, None))
        };
        match refused.or_else(fatal) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(super) fn due(&self, behind: bool) -> Option<Instant> {
        match self.batch {
            Batch::Open(open) if self.is_full() => Some(open.since),
            Batch::Open(open) if behind => Some(open.since + self.limits.backlog_interval),
            Batch::Open(open) => Some(open.since + self.limits.interval),
            Batch::None if self.urgent => Some(self.committed_at),
            Batch::None if self.token.is_some() || self.checkpoints.is_behind(&self.frontier) => {
                Some(self.committed_at + IDLE_INTERVAL)
            }
            Batch::None | Batch::Committing(_) | Batch::Failing { .. } | Batch::Committed(_) => {
                None
            }
        }
    }

    pub(super) fn advance(
        &mut self,
        partial: Option<PartialTransaction>,
    ) -> Result<bool, RelayError> {
        let records = match self.batch {
            Batch::Open(open) => open.records,
            Batch::None => 0,
            Batch::Committing(_) | Batch::Failing { .. } | Batch::Committed(_) => return Ok(true),
        };
        self.urgent = false;
        let checkpoint = match self.checkpoints.next(&self.frontier, partial) {
            Some(checkpoint) => checkpoint,
            None if matches!(self.batch, Batch::Open(_)) => self.checkpoints.durable().clone(),
            // The slot lags behind a checkpoint that is in Kafka already.
            None => {
                self.batch = Batch::Committed(Noted {
                    checkpoint: self.checkpoints.durable().clone(),
                    token: self.token.take(),
                    records: 0,
                });
                return Ok(true);
            }
        };
        let failed = |source| RelayError::Kafka {
            doing: "write a checkpoint",
            source,
        };
        if matches!(self.batch, Batch::None) {
            self.begin().map_err(failed)?;
        }
        let number = Sequence::new(self.next);
        let sent = self
            .checkpoints
            .record(&checkpoint, |record| self.producer.try_send(record, number));
        match sent {
            Ok(()) => {
                self.next += 1;
                self.batch = Batch::Committing(Noted {
                    checkpoint,
                    token: self.token.take(),
                    records,
                });
                Ok(true)
            }
            Err(SendError::Full) => Ok(false),
            Err(SendError::Failed(error)) if error.is_failed_transaction() => {
                self.batch = Batch::Failing {
                    error,
                    token: self.token.take(),
                    records,
                };
                Ok(true)
            }
            Err(SendError::Failed(source)) => Err(failed(source)),
        }
    }

    pub(super) fn is_committing(&self) -> bool {
        matches!(
            self.batch,
            Batch::Committing(_) | Batch::Failing { .. } | Batch::Committed(_)
        )
    }

    pub(super) async fn committed(&mut self) -> Result<(), RelayError> {
        if !matches!(self.batch, Batch::Committing(_) | Batch::Failing { .. }) {
            return Ok(());
        }
        let committed = self.producer.commit().await;
        // A refused record is the cause, and says more than the transaction that failed of it.
        self.settle()?;
        committed.map_err(|source| RelayError::Transaction { source })?;
        if let Batch::Failing { error, .. } = &self.batch {
            let (doing, source) = ("send in a transaction", error.clone());
            return Err(RelayError::Kafka { doing, source });
        }
        if let Batch::Committing(noted) = std::mem::replace(&mut self.batch, Batch::None) {
            self.batch = Batch::Committed(noted);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, stream: &mut ReplicationStream, metrics: &RelayMetrics) {
        let Batch::Committed(Noted {
            checkpoint,
            token,
            records,
        }) = std::mem::replace(&mut self.batch, Batch::None)
        else {
            return;
        };
        self.checkpoints.written(checkpoint);
        self.committed_at = Instant::now();
        let now = PgTimestamp::now();
        metrics.events.increment(records as u64);
        metrics
            .transactions
            .increment(std::mem::take(&mut self.transactions));
        for committed_at in self.commits.drain(..) {
            metrics.acknowledged(committed_at, now);
        }
        if let Some(token) = token {
            stream.acknowledge(token);
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(self.batch, Batch::None)
            && self.token.is_none()
            && !self.checkpoints.is_behind(&self.frontier)
    }

    /// The record of a transaction that failed and held no other.
    pub(super) fn take_unsent(&mut self) -> Option<Box<OwnedRecord>> {
        let records = match &self.batch {
            Batch::Committing(noted) => noted.records,
            Batch::Failing { records, .. } => *records,
            Batch::None | Batch::Open(_) | Batch::Committed(_) => 0,
        };
        self.unsent.take().filter(|_| records == 1)
    }

    /// The transaction held the refused record alone, so that giving it up loses nothing else.
    pub(super) async fn pass_over_refused(&mut self) -> Result<(), RelayError> {
        self.producer
            .abort()
            .await
            .map_err(|source| RelayError::Kafka {
                doing: "give up a transaction",
                source,
            })?;
        let token = match std::mem::replace(&mut self.batch, Batch::None) {
            Batch::Committing(noted) => noted.token,
            Batch::Failing { token, .. } => token,
            Batch::None | Batch::Open(_) | Batch::Committed(_) => None,
        };
        // What was to be confirmed with it waits for the next one.
        self.token = self.token.take().or(token);
        Ok(())
    }

    pub(super) async fn close(self, limit: Duration) -> bool {
        self.producer.close(limit).await
    }
}
