//! The way around: events go to the outbox until the relay has delivered every one of them.

use std::time::{Duration, Instant};

use cdc_kafka::{ClusterInfo, Topics};
use metrics::{counter, gauge};
use pg_lsn::Lsn;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::alert::{Alerts, Cause, Stay};
use crate::error::{SendError, StoreError};
use crate::event::Event;
use crate::metric;
use crate::outbox::Outbox;
use crate::pending::{Pending, Placed};

/// Events of one statement.
const BATCH: usize = 256;

/// How often it is looked how far the relay has come.
const LOOK: Duration = Duration::from_millis(250);

/// How long new events may wait for the relay to deliver the last ones. Less than they wait for room by default.
const HANDOVER: Duration = Duration::from_millis(400);

/// Pause between two questions to PostgreSQL meanwhile, and between two attempts to store.
const PAUSE: Duration = Duration::from_millis(10);

/// A stay in the fallback.
pub(crate) struct Fallback<'a> {
    outbox: &'a mut Outbox,
    kafka: &'a Topics,
    alerts: &'a dyn Alerts,
    store_timeout: Duration,
    stay: Stay,
    since: Instant,
    /// Somebody was told of the stay.
    announced: bool,
    /// Somebody was told that it cannot be seen how far the relay has come.
    complained: bool,
    /// The relay is to come past this position before anything else is tried.
    mark: Option<Lsn>,
    /// Something may have been stored behind the mark, or there is none.
    unmarked: bool,
    next_look: tokio::time::Instant,
    /// Asks Kafka whether it is there, beside everything else.
    ping: JoinSet<Result<ClusterInfo, cdc_kafka::Error>>,
}

/// How a stay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Everything is delivered, and Kafka is there.
    Recovered,
    /// The producer was closed, and everything is answered for.
    Stopped,
}

impl<'a> Fallback<'a> {
    /// Nothing but storing is tried before `pause` has passed; at the start of a process there is nothing to wait for.
    pub(crate) fn new(
        outbox: &'a mut Outbox,
        kafka: &'a Topics,
        alerts: &'a dyn Alerts,
        store_timeout: Duration,
        cause: Cause,
        pause: Duration,
    ) -> Self {
        let mut fallback = Self {
            outbox,
            kafka,
            alerts,
            store_timeout,
            stay: Stay {
                cause,
                lasted: Duration::ZERO,
                stored: 0,
            },
            since: Instant::now(),
            announced: false,
            complained: false,
            mark: None,
            unmarked: true,
            next_look: tokio::time::Instant::now() + pause,
            ping: JoinSet::new(),
        };
        gauge!(metric::FALLBACK).set(1.0);
        if cause == Cause::Start {
            fallback.ask_kafka();
        }
        fallback
    }

    /// Tells that events go to the outbox, once.
    pub(crate) fn announce(&mut self, error: Option<&cdc_kafka::Error>) {
        if std::mem::replace(&mut self.announced, true) {
            return;
        }
        let cause = self.stay.cause;
        counter!(metric::ENTRIES, metric::CAUSE => cause.as_str()).increment(1);
        tracing::warn!(
            { metric::CAUSE } = cause.as_str(),
            { metric::ERROR } = error.map(|error| chain(error)),
            "events go to the outbox: {cause}"
        );
        self.alerts.entered(cause, error);
    }

    /// Stores `left`, then what comes, until Kafka and the relay are well.
    pub(crate) async fn run(
        mut self,
        left: Vec<Pending>,
        queue: &mut mpsc::Receiver<Pending>,
        stop: &CancellationToken,
    ) -> Left {
        let mut left = left.into_iter();
        loop {
            let batch: Vec<_> = left.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            self.store(batch).await;
        }
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                count = queue.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return Left::Stopped;
                    }
                    self.store(std::mem::take(&mut batch)).await;
                }
                Some(answer) = self.ping.join_next() => {
                    let error = match answer {
                        Ok(Ok(_)) if self.hands_over().await => {
                            self.leave();
                            return Left::Recovered;
                        }
                        Ok(Ok(_)) | Err(_) => None,
                        Ok(Err(error)) => Some(error),
                    };
                    self.announce(error.as_ref());
                    self.next_look = tokio::time::Instant::now() + LOOK;
                }
                () = sleep_until(self.next_look), if self.ping.is_empty() => self.look().await,
                () = stop.cancelled(), if !queue.is_closed() => queue.close(),
            }
        }
    }

    /// Stores a batch and answers for it. If the values of an event are refused, each is stored by itself.
    async fn store(&mut self, batch: Vec<Pending>) {
        let events: Vec<_> = batch.iter().map(|pending| &pending.event).collect();
        match self.store_events(&events).await {
            Err(error) if error.is_about_the_event() && batch.len() > 1 => {
                for pending in batch {
                    let result = self.store_events(&[&pending.event]).await;
                    self.answer(pending, result);
                }
            }
            result => {
                for pending in batch {
                    self.answer(pending, result.clone());
                }
            }
        }
    }

    /// Tries for as long as it may take: a session that was idle is often found broken.
    async fn store_events(&mut self, events: &[&Event]) -> Result<(), StoreError> {
        self.unmarked = true;
        let started = Instant::now();
        loop {
            match self.outbox.store(events).await {
                Err(error) if error.may_pass() && started.elapsed() < self.store_timeout => {
                    sleep(PAUSE).await;
                }
                result => return result,
            }
        }
    }

    fn answer(&mut self, pending: Pending, result: Result<(), StoreError>) {
        let cause = self.stay.cause;
        pending.end(match result {
            Ok(()) => {
                self.stay.stored += 1;
                Ok(Placed::Stored)
            }
            Err(source) => Err(SendError::NotStored { cause, source }),
        });
    }

    /// Looks how far the relay has come since the last look.
    async fn look(&mut self) {
        self.next_look = tokio::time::Instant::now() + LOOK;
        let looked = match self.mark {
            None => self.set_mark().await.map(|_| false),
            Some(mark) => self.outbox.confirmed().await.map(|lsn| lsn >= mark),
        };
        match looked {
            // It delivers, and so Kafka is well: for us too?
            Ok(true) => self.ask_kafka(),
            Ok(false) => {}
            Err(error) => self.complain(&error),
        }
    }

    fn ask_kafka(&mut self) {
        let kafka = self.kafka.clone();
        self.ping.spawn(async move { kafka.ping().await });
    }

    async fn set_mark(&mut self) -> Result<Lsn, StoreError> {
        let mark = self.outbox.mark().await?;
        self.mark = Some(mark);
        self.unmarked = false;
        Ok(mark)
    }

    /// Waits until everything stored has been delivered. Nothing is stored meanwhile: what comes waits in the queue.
    async fn hands_over(&mut self) -> bool {
        // Kafka was asked because the relay is past the mark. It would not be past a new one in time: where nothing happens
        // it confirms once a second.
        if !self.unmarked {
            return true;
        }
        match self.catches_up().await {
            Ok(caught_up) => caught_up,
            Err(error) => {
                self.complain(&error);
                false
            }
        }
    }

    async fn catches_up(&mut self) -> Result<bool, StoreError> {
        let mark = self.set_mark().await?;
        let started = Instant::now();
        loop {
            if self.outbox.confirmed().await? >= mark {
                return Ok(true);
            }
            if started.elapsed() >= HANDOVER {
                return Ok(false);
            }
            sleep(PAUSE).await;
        }
    }

    /// Says once why it is not known how far the relay has come.
    fn complain(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(
                { metric::ERROR } = chain(error),
                "events stay on their way through the outbox: it cannot be seen whether they are delivered"
            );
        }
    }

    fn leave(mut self) {
        gauge!(metric::FALLBACK).set(0.0);
        self.stay.lasted = self.since.elapsed();
        if self.announced {
            tracing::info!(
                { metric::STORED } = self.stay.stored,
                { metric::LASTED } = ?self.stay.lasted,
                "events go to Kafka directly again: the relay has delivered what was stored"
            );
            self.alerts.left(&self.stay);
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
