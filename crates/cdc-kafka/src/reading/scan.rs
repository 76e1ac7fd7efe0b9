//! Every record of topics.

use std::ops::ControlFlow;

use rdkafka::message::{BorrowedMessage, Headers, Message};
use tokio_util::sync::CancellationToken;

use super::reader::{Reader, Wanted};
use crate::error::Error;
use crate::options::KafkaOptions;
use crate::record::{HeaderRef, Partition, TimestampMillis};

/// A record as it is read. Headers are taken apart only when they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct ScannedRecord<'a>(pub(super) &'a BorrowedMessage<'a>);

impl<'a> ScannedRecord<'a> {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        self.0.topic()
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        Partition(self.0.partition())
    }

    /// The offset in the partition, from 0.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// The key; `None` is Kafka's null.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.0.key()
    }

    /// The value; `None` is Kafka's null.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.0.payload()
    }

    /// The time of the record, if it has one.
    #[must_use]
    pub fn timestamp(&self) -> Option<TimestampMillis> {
        self.0.timestamp().to_millis().map(TimestampMillis)
    }

    /// The headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = HeaderRef<'a>> {
        let headers = self.0.headers();
        headers.into_iter().flat_map(|headers| {
            headers.iter().map(|header| HeaderRef {
                name: header.key,
                value: header.value,
            })
        })
    }
}

/// What [`scan`] has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanSummary {
    /// Records that were visited.
    pub records: u64,
    /// Topics that do not exist.
    pub missing: Vec<String>,
}

/// Shows every committed record of the topics to `visit`, from their beginning to where they end at the call. The
/// topics are read one after the other; within a partition the order is that of the offsets.
///
/// Transactions that are open at the call are waited for, whoever writes them. Memory is bounded by
/// `queued.max.messages.kbytes` and what `visit` keeps. Trouble with brokers is waited out.
///
/// `visit` runs on a thread where blocking is allowed. Cancel safe: the reading then ends by itself; it is
/// told by `cancel` to end soon.
///
/// # Errors
///
/// [`Error::Cancelled`] after `cancel`; [`Error::Topic`] when this client may not read a topic, or it is deleted
/// meanwhile.
pub async fn scan(
    options: &KafkaOptions,
    topics: &[String],
    cancel: CancellationToken,
    visit: impl FnMut(ScannedRecord<'_>) + Send + 'static,
) -> Result<ScanSummary, Error> {
    let (options, topics) = (options.clone(), topics.to_vec());
    // Whoever drops this future does not want the rest either.
    let cancel = cancel.child_token();
    let _cancel_on_drop = cancel.clone().drop_guard();
    tokio::task::spawn_blocking(move || read_all(options, topics, cancel, visit))
        .await
        .map_err(|_| Error::Abandoned)?
}

fn read_all(
    options: KafkaOptions,
    topics: Vec<String>,
    cancel: CancellationToken,
    mut visit: impl FnMut(ScannedRecord<'_>),
) -> Result<ScanSummary, Error> {
    let reader = Reader::new(options, Wanted::UntilCancelled(cancel))?;
    let mut summary = ScanSummary::default();
    let mut found = Vec::with_capacity(topics.len());
    for topic in topics {
        match reader.spans(&topic)? {
            Some(spans) => found.push((topic, spans)),
            None => summary.missing.push(topic),
        }
    }
    // One after the other: an end of partition is told without its topic.
    for (topic, spans) in found {
        reader.read(&topic, &spans, |message| {
            summary.records += 1;
            visit(ScannedRecord(message));
            ControlFlow::Continue(())
        })?;
    }
    Ok(summary)
}
