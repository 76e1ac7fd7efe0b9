//! The thread that polls for a group consumer.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;

use super::context::{Client, News, passes_by_itself, waits_for_a_generation};
use super::control::Control;
use super::event::ConsumerEvent;
use super::holding::Holding;
use super::outbox::Outbox;
use super::rebalance::Step;
use super::renewal::Made;
use super::session::Session;
use super::settings::{ConsumerSettings, Start};
use crate::brokers::BrokerWatch;
use crate::code::KafkaCode;
use crate::error::{Disposition, Error};
use crate::logging::GROUP;
use crate::record::TopicPartition;

/// Polls one client, until the consumer is closed or the client is of no more use. Nothing here waits for the
/// application.
pub(super) struct Poller<'a> {
    pub(super) client: Arc<Client>,
    pub(super) news: Arc<News>,
    pub(super) outbox: &'a mut Outbox,
    pub(super) held: HashMap<TopicPartition, Arc<Holding>>,
    pub(super) step: Step,
    pub(super) start: Start,
    pub(super) revoke_deadline: Duration,
    pub(super) session: Session,
    control: &'a Control,
    brokers: BrokerWatch,
    give_interval: Duration,
    next_giving: Instant,
    state: State,
}

/// Why polling ended.
pub(super) enum Ended {
    /// The consumer was closed; an error if something that was stored may not be committed.
    Closed(Result<(), Error>),
    /// Another client is needed.
    Useless(Error),
}

/// What is to be done with the client.
enum State {
    /// It is of use.
    Useful,
    /// It is of none, and another one may be.
    Useless(Error),
    /// Neither it nor another one is; the consumer waits to be closed.
    Failed,
}

/// The longest sleep. What happens wakes the thread; this is for what becomes due, and for membership, which needs a
/// poll now and then.
pub(super) const SLEEP: Duration = Duration::from_millis(100);

/// How long the last commit is asked for again. Each time librdkafka gives up by itself, some time after the session timeout, or
/// that of a poll while the group rebalances.
const COMMIT_PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries of the last commit.
const COMMIT_PAUSE: Duration = Duration::from_millis(10);

impl<'a> Poller<'a> {
    pub(super) fn new(
        made: Made,
        control: &'a Control,
        settings: &ConsumerSettings,
        outbox: &'a mut Outbox,
    ) -> Self {
        Self {
            client: made.client,
            news: made.news,
            outbox,
            held: HashMap::new(),
            step: Step::Idle,
            start: settings.start,
            revoke_deadline: settings.revoke_deadline,
            session: Session::default(),
            control,
            brokers: BrokerWatch::default(),
            give_interval: settings.commit_interval,
            next_giving: Instant::now(),
            state: State::Useful,
        }
    }

    /// Returns when the connections are gone.
    pub(super) fn run(mut self) -> Ended {
        while !self.control.is_closing() {
            self.poll();
            self.check();
            match &self.state {
                State::Useful => {
                    self.take_commits();
                    self.rebalance();
                    self.give_stored();
                    self.tell_troubles();
                }
                State::Useless(error) => {
                    let error = error.clone();
                    self.lose_all();
                    self.abandon();
                    return Ended::Useless(error);
                }
                State::Failed => {
                    // What the group still asks is answered, so that it can be left.
                    self.answer_at_once();
                    self.let_all_go();
                }
            }
            self.outbox.flush();
            thread::park_timeout(SLEEP.min(self.give_interval));
        }
        Ended::Closed(self.close())
    }

    /// Serves what librdkafka has for us, until there is nothing.
    fn poll(&mut self) {
        loop {
            let served = self.news.served();
            match self.client.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    let error = misplaced(&message);
                    drop(message);
                    self.fail(error);
                }
                // Said with more words in the callback; a fatal one is found by `check`.
                Some(Err(_)) => {}
                None if self.news.served() == served => return,
                None => {}
            }
        }
    }

    fn take_commits(&mut self) {
        for (partition, result) in self.news.take_commits().into_iter().flatten() {
            match result {
                Ok(next) => {
                    if let Some(holding) = self.held.get(&partition) {
                        holding.has_committed(next);
                    }
                }
                Err(code) if passes_by_itself(code) => {}
                Err(code) => {
                    self.news.trouble(
                        format!("cannot commit the offset of {partition}: {code}"),
                        code,
                    );
                }
            }
        }
    }

    /// Gives stored offsets to librdkafka, which commits them.
    fn give_stored(&mut self) {
        let now = Instant::now();
        if now < self.next_giving {
            return;
        }
        self.next_giving = now + self.give_interval;
        give(&self.client, &self.news, self.held.values());
    }

    fn tell_troubles(&mut self) {
        for error in self.news.take_troubles() {
            self.outbox.tell_trouble(error);
        }
    }

    /// Looks whether librdkafka has given up, with or without a word.
    fn check(&mut self) {
        let now = Instant::now();
        if self.news.take_session_ended() {
            self.session.ended();
        }
        if let Some((code, detail)) = self.client.client().fatal_error() {
            let by_itself =
                code == RDKafkaErrorCode::FencedInstanceId && self.session.explains_fencing(now);
            let group = self.news.group().into();
            let code = KafkaCode::new(code);
            self.fail(if by_itself {
                Error::Outlived { group, code }
            } else {
                Error::Fatal { detail, code }
            });
        }
        let said = self.news.take_knows_brokers();
        if said.is_some_and(|known| self.brokers.has_forgotten(known, now)) {
            self.fail(Error::BrokersForgotten);
        }
    }

    /// The client is of no more use. What is held stays so until that is dealt with.
    fn fail(&mut self, error: Error) {
        let State::Useful = self.state else { return };
        self.state = match error.disposition() {
            Disposition::Rebuild => State::Useless(error),
            Disposition::Permanent | Disposition::Transient | Disposition::Poison(_) => {
                self.let_all_go();
                self.outbox.tell_last(ConsumerEvent::Failed(error));
                State::Failed
            }
        };
    }

    /// Ends all readers, and tells that what they read is lost.
    fn lose_all(&mut self) {
        self.answer_at_once();
        let lost: Vec<_> = self
            .let_all_go()
            .iter()
            .map(|holding| holding.partition.clone())
            .collect();
        if !lost.is_empty() {
            self.outbox.tell(ConsumerEvent::Lost(lost));
        }
    }

    fn let_all_go(&mut self) -> Vec<Arc<Holding>> {
        let held: Vec<_> = self.held.drain().map(|(_, holding)| holding).collect();
        for holding in &held {
            holding.let_go();
        }
        held
    }

    fn close(mut self) -> Result<(), Error> {
        self.answer_at_once();
        let held = self.let_all_go();
        let committed = self.commit_last(&held);
        if let Some(asked) = self.news.take_rebalance() {
            // A rebalance has begun meanwhile. Once it is closing, librdkafka takes any answer.
            drop(self.client.close_queue());
            self.begin(asked);
            self.answer_at_once();
        }
        self.news.leave_unattended();
        end(self.client);
        committed
    }

    /// Lets a client that is of no more use end in the background: one without brokers waits for them, in vain.
    fn abandon(self) {
        self.news.leave_unattended();
        let client = self.client;
        let thread = thread::Builder::new().name("kafka-end".into());
        if let Err(error) = thread.spawn(move || end(client)) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                { GROUP } = self.news.group(),
                error,
                "no thread in which a client can end"
            );
        }
    }

    /// Commits what is stored, and waits until that is known: while the client is dropped, it may not be told.
    ///
    /// The partitions stay assigned meanwhile: nobody else is given them before this member has left, so that what is
    /// refused in the middle of a rebalance may be asked again.
    fn commit_last(&self, held: &[Arc<Holding>]) -> Result<(), Error> {
        give(&self.client, &self.news, held.iter());
        let behind = || held.iter().find(|holding| holding.is_behind());
        if behind().is_none() {
            return Ok(());
        }
        let refused = self.commit_patiently();
        if refused.is_none() {
            held.iter().for_each(|holding| holding.has_committed_all());
        }
        behind().map_or(Ok(()), |holding| {
            Err(Error::Consume {
                group: self.news.group().into(),
                detail: format!("what was stored for {} is not committed", holding.partition),
                // What librdkafka does not take says so by itself.
                code: refused.unwrap_or(KafkaCode::new(RDKafkaErrorCode::NoOffset)),
            })
        })
    }

    /// Commits what librdkafka was given; why not, if it is not to be.
    fn commit_patiently(&self) -> Option<KafkaCode> {
        let until = Instant::now() + COMMIT_PATIENCE;
        loop {
            let refused = self.client.commit_consumer_state(CommitMode::Sync).err();
            let code = KafkaCode::of(&refused?);
            let is_lost = self.client.assignment_lost();
            // The timer has committed it meanwhile.
            if code.get() == RDKafkaErrorCode::NoOffset && !is_lost {
                return None;
            }
            if !waits_for_a_generation(code) || is_lost || Instant::now() >= until {
                return Some(code);
            }
            thread::park_timeout(COMMIT_PAUSE);
        }
    }
}

/// Leaves the group and ends the connections.
fn end(client: Arc<Client>) {
    // Somebody may just be asking for the group's metadata. The last one must be this thread: it may take long.
    while Arc::strong_count(&client) > 1 {
        thread::yield_now();
    }
    drop(client);
}

/// Gives librdkafka what is stored of these partitions.
pub(super) fn give<'a>(
    client: &Client,
    news: &News,
    holdings: impl Iterator<Item = &'a Arc<Holding>>,
) {
    let mut list = TopicPartitionList::new();
    let mut given = Vec::new();
    for holding in holdings {
        let Some(next) = holding.to_give() else {
            continue;
        };
        let TopicPartition { topic, partition } = &holding.partition;
        match list.add_partition_offset(topic, partition.0, rdkafka::Offset::Offset(next.0)) {
            Ok(()) => given.push((holding, next)),
            Err(error) => not_stored(news, &KafkaCode::of(&error)),
        }
    }
    if given.is_empty() {
        return;
    }
    match client.store_offsets(&list) {
        Ok(()) => given
            .iter()
            .for_each(|(holding, next)| holding.given(*next)),
        Err(error) => not_stored(news, &KafkaCode::of(&error)),
    }
}

fn not_stored(news: &News, code: &KafkaCode) {
    news.trouble(format!("cannot store offsets: {code}"), *code);
}

/// Every queue is split off before its partition is assigned, so that no record comes out of the main one. One that did
/// would be missing where it is read.
fn misplaced(message: &BorrowedMessage<'_>) -> Error {
    let partition = TopicPartition::new(message.topic(), message.partition());
    debug_assert!(false, "a record of {partition} came out of the main queue");
    Error::Fatal {
        detail: format!("a record of {partition} came past its queue"),
        code: KafkaCode::new(RDKafkaErrorCode::State),
    }
}
