//! The way to Kafka.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use cdc_event::Sequence;
use cdc_kafka::{
    Delivery, Disposition, KafkaOptions, Limits, OrderedProducer, SendError as NotTaken,
};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::alert::Cause;
use crate::error::SendError;
use crate::pending::{Pending, Placed};

/// How often it is looked whether a record is overdue.
const TICK: Duration = Duration::from_millis(50);

/// How long a record may take until the first one is acknowledged: nobody knows yet whether all is well again.
const TRIAL: Duration = Duration::from_secs(2);

/// How long what is given up may take to be reported.
const GIVE_UP: Duration = Duration::from_secs(1);

/// How long a record may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For its acknowledgement.
    pub(crate) delivery: Duration,
    /// While no broker can be reached.
    pub(crate) outage: Duration,
    /// While others wait for room.
    pub(crate) pressed: Duration,
}

/// Sends events to Kafka until that does not work.
#[derive(Debug)]
pub(crate) struct Direct {
    producer: OrderedProducer,
    patience: Patience,
    /// A record has been acknowledged.
    proven: bool,
    next: u64,
    in_flight: BTreeMap<Sequence, (Instant, Pending)>,
    /// To be sent one at a time: one of them was refused, and its batch with it.
    alone: VecDeque<Pending>,
    reports: Vec<Delivery>,
}

/// Why events are not sent directly any more.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The producer was closed, and everything is answered for.
    Stopped,
    /// It does not work. What is left has to go another way, in this order.
    Diverted {
        cause: Cause,
        error: Option<cdc_kafka::Error>,
        left: Vec<Pending>,
    },
    /// A record was refused, and maybe others with it: they are to be sent one at a time.
    Suspected(VecDeque<Pending>),
}

/// What makes an end of it.
enum Trouble {
    Divert(Cause, Option<cdc_kafka::Error>),
    Suspect,
}

impl Direct {
    /// Makes a producer. `alone` are sent first, one at a time.
    pub(crate) fn new(
        kafka: &KafkaOptions,
        limits: Limits,
        patience: Patience,
        alone: VecDeque<Pending>,
    ) -> Result<Self, (cdc_kafka::Error, Vec<Pending>)> {
        match OrderedProducer::new(kafka, limits) {
            Ok(producer) => Ok(Self {
                producer,
                patience,
                proven: false,
                next: 0,
                in_flight: BTreeMap::new(),
                alone,
                reports: Vec::new(),
            }),
            Err(error) => Err((error, alone.into())),
        }
    }

    /// Sends what comes. `pressed` tells that somebody waits for room. Gives also whether a record was acknowledged.
    pub(crate) async fn run(
        mut self,
        queue: &mut mpsc::Receiver<Pending>,
        pressed: &Notify,
        stop: &CancellationToken,
    ) -> (Ended, bool) {
        let ended = self.run_until_trouble(queue, pressed, stop).await;
        let proven = self.proven;
        let ended = match ended {
            None => Ended::Stopped,
            Some(Trouble::Divert(cause, error)) => {
                let error = error.or_else(|| self.last_error());
                let left = self.take_back().await;
                Ended::Diverted { cause, error, left }
            }
            Some(Trouble::Suspect) => Ended::Suspected(self.take_back().await.into()),
        };
        (ended, proven)
    }

    /// `None` when the queue is closed and everything is answered for.
    async fn run_until_trouble(
        &mut self,
        queue: &mut mpsc::Receiver<Pending>,
        pressed: &Notify,
        stop: &CancellationToken,
    ) -> Option<Trouble> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut comes_more = true;
        loop {
            if !comes_more && self.in_flight.is_empty() && self.alone.is_empty() {
                return None;
            }
            let looked = tokio::select! {
                next = queue.recv(), if comes_more && self.alone.is_empty() => match next {
                    Some(pending) => self.send(pending),
                    None => {
                        comes_more = false;
                        Ok(())
                    }
                },
                () = std::future::ready(()), if self.in_flight.is_empty() && !self.alone.is_empty() => {
                    self.send_alone()
                }
                () = self.producer.delivered() => self.settle(),
                () = pressed.notified() => self.is_pressed(),
                _ = tick.tick(), if !self.in_flight.is_empty() => self.is_overdue(),
                () = stop.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    Ok(())
                }
            };
            if let Err(trouble) = looked {
                return Some(trouble);
            }
        }
    }

    fn send(&mut self, pending: Pending) -> Result<(), Trouble> {
        let sequence = Sequence::new(self.next);
        self.next += 1;
        let producer = &self.producer;
        let taken = pending
            .record
            .outgoing(|record| producer.try_send(record, sequence));
        let trouble = match taken {
            Ok(()) => Ok(()),
            Err(NotTaken::Full) => Err(Trouble::Divert(Cause::Full, None)),
            Err(NotTaken::Failed(error)) => match error.disposition() {
                Disposition::Poison(_) => {
                    pending.end(Err(SendError::Refused(error)));
                    return Ok(());
                }
                Disposition::Transient | Disposition::Rebuild | Disposition::Permanent => {
                    Err(Trouble::Divert(Cause::Failed, Some(error)))
                }
            },
        };
        // One that was not taken is the last of those that are left.
        self.in_flight.insert(sequence, (Instant::now(), pending));
        trouble
    }

    fn send_alone(&mut self) -> Result<(), Trouble> {
        match self.alone.pop_front() {
            Some(pending) => self.send(pending),
            None => Ok(()),
        }
    }

    /// Takes the reports of deliveries.
    fn settle(&mut self) -> Result<(), Trouble> {
        let mut outcome = Ok(());
        let mut reports = std::mem::take(&mut self.reports);
        self.producer.take_deliveries(&mut reports);
        for report in reports.drain(..) {
            let error = match (report.result, report.place) {
                (Ok(()), Some(place)) => {
                    self.answer(report.sequence, Ok(Placed::Sent(place)));
                    self.proven = true;
                    continue;
                }
                (Ok(()), None) => continue,
                (Err(error), _) => error,
            };
            match error.disposition() {
                // With nothing else in flight, nothing else was in its batch.
                Disposition::Poison(_) if self.in_flight.len() == 1 => {
                    self.answer(report.sequence, Err(SendError::Refused(error)));
                }
                Disposition::Poison(_) => outcome = outcome.and(Err(Trouble::Suspect)),
                Disposition::Transient | Disposition::Rebuild | Disposition::Permanent => {
                    outcome = Err(Trouble::Divert(Cause::Failed, Some(error)));
                }
            }
        }
        self.reports = reports;
        outcome?;
        match self.producer.fatal() {
            Some(error) => Err(Trouble::Divert(Cause::Failed, Some(error))),
            None => Ok(()),
        }
    }

    fn answer(&mut self, sequence: Sequence, result: Result<Placed, SendError>) {
        if let Some((_, pending)) = self.in_flight.remove(&sequence) {
            pending.end(result);
        }
    }

    /// How long the oldest record has been under way.
    fn oldest(&self) -> Duration {
        let first = self.in_flight.first_key_value();
        first.map_or(Duration::ZERO, |(_, (sent_at, _))| sent_at.elapsed())
    }

    fn is_overdue(&self) -> Result<(), Trouble> {
        let oldest = self.oldest();
        let Patience {
            delivery, outage, ..
        } = self.patience;
        let limit = if self.proven {
            delivery
        } else {
            delivery.min(TRIAL)
        };
        if oldest >= limit {
            return Err(Trouble::Divert(Cause::TimedOut, None));
        }
        if oldest >= outage && self.producer.reachability().all_brokers_down {
            return Err(Trouble::Divert(Cause::Unreachable, None));
        }
        Ok(())
    }

    /// Somebody waits for room. That may be long ago.
    fn is_pressed(&self) -> Result<(), Trouble> {
        if self.oldest() >= self.patience.pressed {
            Err(Trouble::Divert(Cause::Full, None))
        } else {
            Ok(())
        }
    }

    fn last_error(&self) -> Option<cdc_kafka::Error> {
        self.producer
            .reachability()
            .last_error
            .map(|(error, _)| error)
    }

    /// Gives up what is in flight, and gives back what Kafka has not acknowledged, in the order of sending.
    async fn take_back(mut self) -> Vec<Pending> {
        self.producer.give_up();
        let given_up = Instant::now();
        while self.producer.in_flight().records > 0 && given_up.elapsed() < GIVE_UP {
            let mut reports = std::mem::take(&mut self.reports);
            self.producer.take_deliveries(&mut reports);
            for report in reports.drain(..) {
                if let (Ok(()), Some(place)) = (report.result, report.place) {
                    self.answer(report.sequence, Ok(Placed::Sent(place)));
                }
            }
            self.reports = reports;
            sleep(Duration::from_millis(1)).await;
        }
        let in_flight = std::mem::take(&mut self.in_flight).into_values();
        let left = in_flight.map(|(_, pending)| pending).chain(self.alone);
        left.collect()
    }
}
