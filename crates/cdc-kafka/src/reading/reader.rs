//! Reads the committed records of one topic, up to where it ended when it was asked.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use crate::client::BrokerReports;
use crate::code::KafkaCode;
use crate::error::{Disposition, Error};
use crate::options::{KafkaOptions, configuration_error};
use crate::record::Partition;

pub(super) type Client = BaseConsumer<BrokerReports>;

/// How long one question to the cluster may take before it is asked again.
const QUESTION: Duration = Duration::from_secs(2);

/// Between two looks at something that is about to happen.
const PAUSE: Duration = Duration::from_millis(5);

/// Reads topics. Every method blocks until it is done or no longer wanted.
pub(super) struct Reader {
    options: KafkaOptions,
    config: ClientConfig,
    /// For the end of a partition it says what is before the first open transaction.
    committed: Client,
    /// Says where partitions end, committed or not.
    uncommitted: Client,
    wanted: Wanted,
}

/// For how long reading is wanted.
pub(super) enum Wanted {
    Until(Instant),
    UntilCancelled(CancellationToken),
}

/// The offsets that a partition holds: from `start` up to and without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) partition: Partition,
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Reader {
    pub(super) fn new(options: KafkaOptions, wanted: Wanted) -> Result<Self, Error> {
        let config = options.reader_config()?;
        // Who only asks needs no group, and with one it takes a tenth of a second to end.
        let mut asks = config.clone();
        asks.remove("group.id");
        let mut sees_all = asks.clone();
        sees_all.set("isolation.level", "read_uncommitted");
        Ok(Self {
            committed: client(&asks)?,
            uncommitted: client(&sees_all)?,
            config,
            options,
            wanted,
        })
    }

    /// What each partition of the topic holds now; `None` if there is no such topic.
    ///
    /// Waits until the transactions that are open now have ended: before that, a committed record behind one of
    /// them cannot be read.
    pub(super) fn spans(&self, topic: &str) -> Result<Option<Vec<Span>>, Error> {
        loop {
            let Some(partitions) = self.partitions(topic)? else {
                return Ok(None);
            };
            match (0..partitions)
                .map(|partition| self.span(topic, Partition(partition)))
                .collect()
            {
                Ok(spans) => return Ok(Some(spans)),
                // A broker may hear of a new topic, or of the end of one, a little after the others.
                Err(Error::Topic { code, .. }) if is_unknown(code.get()) => {
                    self.pause(topic)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`spans`](Self::spans) of one partition, and waits for the topic too.
    pub(super) fn span_once_known(&self, topic: &str, partition: Partition) -> Result<Span, Error> {
        self.once_known(topic, || self.span(topic, partition))
    }

    /// As [`span_once_known`](Self::span_once_known), up to the first transaction that is open now: none is waited for.
    pub(super) fn settled_span_once_known(
        &self,
        topic: &str,
        partition: Partition,
    ) -> Result<Span, Error> {
        self.once_known(topic, || {
            let ask = || {
                self.committed
                    .fetch_watermarks(topic, partition.0, QUESTION)
            };
            let (start, end) = self.insist(topic, ask)?;
            Ok(Span {
                partition,
                start,
                end,
            })
        })
    }

    fn once_known(
        &self,
        topic: &str,
        ask: impl Fn() -> Result<Span, Error>,
    ) -> Result<Span, Error> {
        loop {
            match ask() {
                // librdkafka says of a partition what it has not heard of its topic yet.
                Err(Error::Topic { code, .. })
                    if is_unknown(code.get())
                        || code.get() == RDKafkaErrorCode::UnknownPartition =>
                {
                    self.pause(topic)?;
                }
                found => return found,
            }
        }
    }

    fn span(&self, topic: &str, partition: Partition) -> Result<Span, Error> {
        let ask = |client: &Client| client.fetch_watermarks(topic, partition.0, QUESTION);
        let (start, end) = self.insist(topic, || ask(&self.uncommitted))?;
        while self.insist(topic, || ask(&self.committed))?.1 < end {
            self.pause(topic)?;
        }
        Ok(Span {
            partition,
            start,
            end,
        })
    }

    /// Shows the committed records of the spans of a topic until `visit` has enough; of one partition in their order.
    pub(super) fn read(
        &self,
        topic: &str,
        spans: &[Span],
        mut visit: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut open: HashMap<i32, i64> = HashMap::new();
        let mut assignment = TopicPartitionList::new();
        for span in spans.iter().filter(|span| span.start < span.end) {
            let Partition(number) = span.partition;
            open.insert(number, span.end);
            assignment
                .add_partition_offset(topic, number, Offset::Offset(span.start))
                .map_err(|error| refused(topic, &error))?;
        }
        if open.is_empty() {
            return Ok(());
        }
        // A client of its own: nothing that was fetched for other spans can be taken for a part of these.
        let client = client(&self.config)?;
        client
            .assign(&assignment)
            .map_err(|error| refused(topic, &error))?;
        self.read_assigned(&client, topic, &mut open, &mut visit)
    }

    fn read_assigned(
        &self,
        client: &Client,
        topic: &str,
        open: &mut HashMap<i32, i64>,
        visit: &mut impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        // A question of the time for each record would be felt.
        const EVERY: u32 = 1024;
        let mut since_asked = 0;
        while !open.is_empty() {
            since_asked += 1;
            if since_asked >= EVERY {
                self.still_wanted(topic)?;
                since_asked = 0;
            }
            match client.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    let number = message.partition();
                    match open.get(&number) {
                        Some(end) if message.offset() < *end => match visit(&message) {
                            ControlFlow::Continue(()) => {}
                            ControlFlow::Break(()) => return Ok(()),
                        },
                        // Others go on writing: there need not be an end that can be caught up with.
                        Some(_) => drop(open.remove(&number)),
                        None => {}
                    }
                }
                // Offsets alone do not tell: the last ones may be marks of transactions, or aborted records.
                Some(Err(KafkaError::PartitionEOF(number))) => drop(open.remove(&number)),
                Some(Err(error)) => self.endure(topic, &error)?,
                None => self.still_wanted(topic)?,
            }
        }
        Ok(())
    }

    fn partitions(&self, topic: &str) -> Result<Option<i32>, Error> {
        self.insist(topic, || {
            let metadata = self.committed.fetch_metadata(Some(topic), QUESTION)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let Some(found) = found else {
                return Ok(None);
            };
            match found.error().map(RDKafkaErrorCode::from) {
                None => Ok(i32::try_from(found.partitions().len()).ok()),
                Some(code) if is_unknown(code) => Ok(None),
                Some(code) => Err(KafkaError::MetadataFetch(code)),
            }
        })
    }

    /// Asks until there is an answer.
    fn insist<T>(&self, topic: &str, ask: impl Fn() -> Result<T, KafkaError>) -> Result<T, Error> {
        loop {
            match ask() {
                Ok(answer) => return Ok(answer),
                Err(error) => self.endure(topic, &error)?,
            }
            self.pause(topic)?;
        }
    }

    fn pause(&self, topic: &str) -> Result<(), Error> {
        thread::park_timeout(PAUSE);
        self.still_wanted(topic)
    }

    /// Goes on after trouble that may pass by itself.
    fn endure(&self, topic: &str, error: &KafkaError) -> Result<(), Error> {
        let code = KafkaCode::of(error);
        // Nothing is done with the group; who may not look for its coordinator can read all the same.
        if code.get() == RDKafkaErrorCode::GroupAuthorizationFailed {
            return Ok(());
        }
        let refused = refused(topic, error);
        if refused.disposition() != Disposition::Transient {
            return Err(refused);
        }
        let reports = self.committed.context();
        reports.report(error, &code.to_string());
        self.still_wanted(topic)
    }

    fn still_wanted(&self, topic: &str) -> Result<(), Error> {
        match &self.wanted {
            Wanted::Until(deadline) if Instant::now() >= *deadline => Err(self.too_late(topic)),
            Wanted::UntilCancelled(cancel) if cancel.is_cancelled() => Err(Error::Cancelled),
            Wanted::Until(_) | Wanted::UntilCancelled(_) => Ok(()),
        }
    }

    fn too_late(&self, topic: &str) -> Error {
        let reported = self.committed.context().read().last_error;
        let code = KafkaCode::new(RDKafkaErrorCode::OperationTimedOut);
        Error::Unreachable {
            action: "read a topic to its end",
            brokers: self.options.brokers.clone(),
            detail: Some(match reported {
                Some((error, _)) => format!("{topic}: {error}"),
                None => format!(
                    "{topic}: it is large, or a transaction stays open, which `kafka-transactions.sh \
                     find-hanging` would show"
                ),
            }),
            code,
        }
    }
}

pub(super) fn client(config: &ClientConfig) -> Result<Client, Error> {
    Client::from_config_and_context(config, BrokerReports::default()).map_err(configuration_error)
}

fn is_unknown(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic
    )
}

pub(super) fn refused(topic: &str, error: &KafkaError) -> Error {
    Error::Topic {
        action: "read",
        topic: topic.to_owned(),
        code: KafkaCode::of(error),
    }
}
