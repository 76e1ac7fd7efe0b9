//! What librdkafka calls, and what it leaves for the poll thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{ClientContext, Offset as NativeOffset, TopicPartitionList};

use super::waker::Waker;
use crate::brokers;
use crate::client;
use crate::code::KafkaCode;
use crate::error::Error;
use crate::record::{Offset, TopicPartition};

/// librdkafka's consumer with our context.
pub(super) type Client = BaseConsumer<Context>;

/// What librdkafka calls.
pub(super) struct Context(pub(super) Arc<News>);

/// What has been heard and not been dealt with.
pub(super) struct News {
    group: Box<str>,
    heard: Mutex<Heard>,
    /// Counts callbacks: a poll does not tell whether it served one or found nothing.
    served: AtomicU64,
    /// Nobody is asked any more: partitions are given back in the callback.
    unattended: AtomicBool,
    pub(super) waker: Waker,
}

#[derive(Default)]
struct Heard {
    /// One at a time: the next one comes when the last has been answered.
    rebalances: VecDeque<Asked>,
    /// As many as are in flight, which are few: the timer's, and that of a revocation.
    commits: Vec<Commit>,
    troubles: VecDeque<Error>,
    /// Whether the client knows a broker.
    knows_brokers: Option<bool>,
    session_ended: bool,
}

/// What the group asks of its member.
#[derive(Debug)]
pub(super) enum Asked {
    Assign(Vec<TopicPartition>),
    Revoke(Vec<TopicPartition>),
    /// Like a revocation, but too late to ask for anything.
    Lost(Vec<TopicPartition>),
}

/// What became of a commit: for each partition the offset, or why it is not committed.
pub(super) type Commit = Vec<(TopicPartition, Result<Offset, KafkaCode>)>;

/// The part of librdkafka that says so in its log.
const SESSION_TIMED_OUT: &str = "SESSTMOUT";

/// More than these, not taken, would be the same again.
const MOST_TROUBLES: usize = 32;

impl News {
    pub(super) fn new(group: &str, waker: Waker) -> Self {
        Self {
            group: group.into(),
            heard: Mutex::default(),
            served: AtomicU64::new(0),
            unattended: AtomicBool::new(false),
            waker,
        }
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    /// Says what does not work; from any thread.
    pub(super) fn trouble(&self, detail: String, code: KafkaCode) {
        let error = Error::Consume {
            group: self.group.clone(),
            detail,
            code,
        };
        {
            let mut heard = self.lock();
            if heard.troubles.len() < MOST_TROUBLES {
                heard.troubles.push_back(error);
            }
        }
        self.waker.wake();
    }

    pub(super) fn take_rebalance(&self) -> Option<Asked> {
        self.lock().rebalances.pop_front()
    }

    pub(super) fn take_commits(&self) -> Vec<Commit> {
        std::mem::take(&mut self.lock().commits)
    }

    pub(super) fn take_troubles(&self) -> VecDeque<Error> {
        std::mem::take(&mut self.lock().troubles)
    }

    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Whether the client knows a broker, if it has said so since it was asked last.
    pub(super) fn take_knows_brokers(&self) -> Option<bool> {
        self.lock().knows_brokers.take()
    }

    /// Whether the session with the group has ended since it was asked last.
    pub(super) fn take_session_ended(&self) -> bool {
        std::mem::take(&mut self.lock().session_ended)
    }

    pub(super) fn leave_unattended(&self) {
        self.unattended.store(true, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Heard)) {
        self.served.fetch_add(1, Ordering::Relaxed);
        change(&mut self.lock());
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // A member without partitions is told in no other way.
        let ended = facility == SESSION_TIMED_OUT;
        self.0.note(|heard| heard.session_ended |= ended);
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // What happens to a partition comes up where that is read, and its reader knows which one it is.
        if self.0.waker.is_this_thread() {
            self.0.note(|_| {});
            self.0.trouble(reason.to_owned(), KafkaCode::of(&error));
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let known = brokers::any_known(statistics);
        self.0.note(|heard| heard.knows_brokers = known);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, client: &Client, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.0.unattended.load(Ordering::SeqCst) {
            give_back(client, list);
            return;
        }
        let partitions = partitions(list);
        // Known only here: the answer to the question resets it.
        let asked = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Asked::Assign(partitions),
            _ if client.assignment_lost() => Asked::Lost(partitions),
            _ => Asked::Revoke(partitions),
        };
        self.0.note(|heard| heard.rebalances.push_back(asked));
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let whole = result.err().map(|error| KafkaCode::of(&error));
        let mut commit = Commit::new();
        for element in offsets.elements() {
            let NativeOffset::Offset(offset) = element.offset() else {
                continue;
            };
            let failed = element
                .error()
                .err()
                .map(|error| KafkaCode::of(&error))
                .or(whole);
            let partition = TopicPartition::new(element.topic(), element.partition());
            commit.push((partition, failed.map_or(Ok(Offset(offset)), Err)));
        }
        self.0.note(|heard| heard.commits.push(commit));
    }
}

/// Whether a failed commit is nothing to speak of: it is made again when the rebalance is through, or the partitions
/// are gone, which is told by itself.
pub(super) fn passes_by_itself(code: KafkaCode) -> bool {
    matches!(
        code.get(),
        RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::AssignmentLost
            | RDKafkaErrorCode::NoOffset
    )
}

/// Whether a commit that was refused may be taken when the rebalance that is under way is through, if the assignment is not
/// lost. A coordinator looks at what comes behind a request to join when that is answered: the generation is another one
/// by then, and this member is in it. `UnknownMemberId` is not among them: the group has gone on without it.
pub(super) fn waits_for_a_generation(code: KafkaCode) -> bool {
    matches!(
        code.get(),
        RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration
    )
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    elements
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect()
}

/// Gives partitions back without a word, whichever way they were to move.
fn give_back(client: &Client, list: &TopicPartitionList) {
    // A consumer that closes takes any answer for this one. What it makes of it is seen by whether it closes.
    let answered = match client.rebalance_protocol() {
        RebalanceProtocol::Cooperative => client.incremental_unassign(list),
        RebalanceProtocol::None | RebalanceProtocol::Eager => client.unassign(),
    };
    drop(answered);
}
