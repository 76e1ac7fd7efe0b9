//! Partitions come and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset as NativeOffset, TopicPartitionList};
use tokio::sync::Notify;

use super::context::{Asked, Client};
use super::event::{ConsumerEvent, Over, Revocation, Unfinished};
use super::holding::{Holding, Queue, split};
use super::poll::{Poller, give};
use super::reader::PartitionReader;
use super::settings::Start;
use crate::code::KafkaCode;
use crate::logging::{GROUP, PARTITIONS};
use crate::record::{Offset, TopicPartition};

/// What the group waits for.
pub(super) enum Step {
    Idle,
    /// To learn where they start.
    Assigning(Vec<TopicPartition>),
    /// For the application.
    Revoking(Vec<TopicPartition>, Unfinished),
}

/// How long the cluster may take for one answer before polling goes on and it is asked again.
const QUESTION: Duration = Duration::from_millis(500);

/// A partition that is about to be assigned.
struct Arriving {
    partition: TopicPartition,
    queue: Queue,
    filled: Arc<Notify>,
    start: Beginning,
}

/// Where a partition begins.
struct Beginning {
    native: NativeOffset,
    committed: Option<Offset>,
    /// To be committed though nothing is read.
    stored: Option<Offset>,
}

impl Poller<'_> {
    /// Takes a rebalance as far as it goes.
    pub(super) fn rebalance(&mut self) {
        loop {
            match std::mem::replace(&mut self.step, Step::Idle) {
                Step::Idle => {
                    let Some(asked) = self
                        .outbox
                        .flush()
                        .then(|| self.news.take_rebalance())
                        .flatten()
                    else {
                        return;
                    };
                    self.begin(asked);
                }
                Step::Assigning(partitions) => match self.assign(&partitions) {
                    Ok(readers) => {
                        self.session.has_joined(Instant::now());
                        if !readers.is_empty() {
                            self.outbox.tell(ConsumerEvent::Assigned(readers));
                        }
                    }
                    Err((what, code)) => {
                        self.news.trouble(format!("{what}: {code}"), code);
                        self.step = Step::Assigning(partitions);
                        return;
                    }
                },
                Step::Revoking(partitions, unfinished) => match unfinished.over(Instant::now()) {
                    None => {
                        self.step = Step::Revoking(partitions, unfinished);
                        return;
                    }
                    Some(over) => {
                        if over == Over::TooLate {
                            self.say_too_late(&partitions);
                        }
                        self.give_up(&partitions);
                    }
                },
            }
        }
    }

    pub(super) fn begin(&mut self, asked: Asked) {
        match asked {
            Asked::Assign(partitions) => self.step = Step::Assigning(partitions),
            Asked::Lost(partitions) => {
                self.session.ended();
                for partition in &partitions {
                    if let Some(holding) = self.held.remove(partition) {
                        holding.let_go();
                    }
                }
                self.answer_revocation(&partitions);
                if !partitions.is_empty() {
                    self.outbox.tell(ConsumerEvent::Lost(partitions));
                }
            }
            Asked::Revoke(partitions) => {
                for partition in &partitions {
                    if let Some(holding) = self.held.get(partition) {
                        holding.end_reading();
                    }
                }
                if partitions.is_empty() {
                    self.answer_revocation(&partitions);
                    return;
                }
                let deadline = Instant::now() + self.revoke_deadline;
                let (revocation, unfinished) =
                    Revocation::new(partitions.clone(), deadline, self.news.waker.clone());
                self.step = Step::Revoking(partitions, unfinished);
                self.outbox.tell(ConsumerEvent::Revoking(revocation));
            }
        }
    }

    /// Answers what the group waits for without asking anybody.
    pub(super) fn answer_at_once(&mut self) {
        match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Idle => {}
            // There must be an answer, and they are given back right after it.
            Step::Assigning(partitions) => {
                let list = list_of(&partitions, |_| NativeOffset::End);
                drop(list.and_then(|list| assign(&self.client, &list)));
            }
            Step::Revoking(partitions, _) => self.give_up(&partitions),
        }
        while let Some(asked) = self.news.take_rebalance() {
            self.begin(asked);
            self.answer_at_once();
        }
    }

    /// Lets partitions go, with what is stored until now.
    fn give_up(&mut self, partitions: &[TopicPartition]) {
        let going: Vec<_> = partitions
            .iter()
            .filter_map(|partition| self.held.remove(partition))
            .collect();
        for holding in &going {
            holding.let_go();
        }
        // librdkafka commits this before it joins the next generation, in which another member gets them.
        give(&self.client, &self.news, going.iter());
        self.answer_revocation(partitions);
    }

    /// Gives partitions back to librdkafka, which commits what is stored of them.
    fn answer_revocation(&self, partitions: &[TopicPartition]) {
        let answered = match self.client.rebalance_protocol() {
            RebalanceProtocol::Cooperative => list_of(partitions, |_| NativeOffset::Invalid)
                .and_then(|list| self.client.incremental_unassign(&list)),
            RebalanceProtocol::None | RebalanceProtocol::Eager => self.client.unassign(),
        };
        if let Err(error) = answered {
            let code = KafkaCode::of(&error);
            self.news
                .trouble(format!("cannot let partitions go: {error}"), code);
        }
    }

    /// Begins to fetch partitions where the group stands.
    fn assign(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<PartitionReader>, (&'static str, KafkaCode)> {
        let failed = |what| move |error: KafkaError| (what, KafkaCode::of(&error));
        let beginnings = self
            .beginnings(partitions)
            .map_err(failed("cannot learn where the group stands"))?;
        let mut arriving = Vec::with_capacity(partitions.len());
        for (partition, start) in partitions.iter().zip(beginnings) {
            let filled = Arc::new(Notify::new());
            let unknown = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition);
            let queue = split(&self.client, partition, &filled).ok_or(unknown);
            let queue = queue.map_err(failed("cannot split the queue of a partition off"))?;
            arriving.push(Arriving {
                partition: partition.clone(),
                queue,
                filled,
                start,
            });
        }
        let mut starts = arriving.iter().map(|arriving| arriving.start.native);
        let list = list_of(partitions, |_| {
            starts.next().unwrap_or(NativeOffset::Invalid)
        })
        .map_err(failed("cannot make a list of partitions"))?;
        assign(&self.client, &list).map_err(failed("cannot take partitions"))?;
        Ok(arriving
            .into_iter()
            .map(|arriving| self.hold(arriving))
            .collect())
    }

    fn hold(&mut self, arriving: Arriving) -> PartitionReader {
        let Arriving {
            partition,
            queue,
            filled,
            start,
        } = arriving;
        let news = Arc::clone(&self.news);
        let holding = Arc::new(Holding::new(
            partition.clone(),
            queue,
            filled,
            start.committed,
            start.stored,
            news,
        ));
        if let Some(former) = self.held.insert(partition, Arc::clone(&holding)) {
            former.let_go();
        }
        PartitionReader::new(holding)
    }

    /// Where partitions begin, in their order.
    fn beginnings(&self, partitions: &[TopicPartition]) -> Result<Vec<Beginning>, KafkaError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let list = list_of(partitions, |_| NativeOffset::Invalid)?;
        let committed = self.client.committed_offsets(list, QUESTION)?;
        partitions
            .iter()
            .map(|TopicPartition { topic, partition }| {
                let element = committed.find_partition(topic, partition.0);
                if let Some(element) = &element {
                    element.error()?;
                }
                match (element.map(|element| element.offset()), self.start) {
                    (Some(native @ NativeOffset::Offset(offset)), _) => Ok(Beginning {
                        native,
                        committed: Some(Offset(offset)),
                        stored: None,
                    }),
                    (_, Start::Earliest) => Ok(Beginning {
                        native: NativeOffset::Beginning,
                        committed: None,
                        stored: None,
                    }),
                    (_, Start::Latest) => {
                        let (_, end) =
                            self.client.fetch_watermarks(topic, partition.0, QUESTION)?;
                        let native = NativeOffset::Offset(end);
                        Ok(Beginning {
                            native,
                            committed: None,
                            stored: Some(Offset(end)),
                        })
                    }
                }
            })
            .collect()
    }

    fn say_too_late(&self, partitions: &[TopicPartition]) {
        tracing::warn!(
            { GROUP } = self.news.group(),
            { PARTITIONS } = partitions.len(),
            "partitions had to be let go before all that is in flight was finished; it comes again elsewhere"
        );
    }
}

fn assign(client: &Client, list: &TopicPartitionList) -> Result<(), KafkaError> {
    match client.rebalance_protocol() {
        RebalanceProtocol::Cooperative => client.incremental_assign(list),
        RebalanceProtocol::None | RebalanceProtocol::Eager => client.assign(list),
    }
}

fn list_of(
    partitions: &[TopicPartition],
    mut offset: impl FnMut(&TopicPartition) -> NativeOffset,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition_offset(&partition.topic, partition.partition.0, offset(partition))?;
    }
    Ok(list)
}
