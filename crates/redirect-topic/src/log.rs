//! Where records wait: partitions of redirect topics, and what is done with them.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

use cdc_event::Headers;
use cdc_kafka::Offset;

use crate::error::Error;

/// A record of a redirect topic, as it is written and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its key, of which the newest record counts.
    pub key: Vec<u8>,
    /// Its value; `None` removes what was written about the key.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Headers,
}

/// The redirect partition that belongs to a source partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourcePartition {
    /// The consumer group.
    pub group: String,
    /// The source topic.
    pub topic: String,
    /// The partition of the source, from 0.
    pub partition: i32,
    /// How many partitions the source has, at least.
    pub partition_count: i32,
}

/// Why a batch was not written.
#[derive(Debug)]
pub enum AppendError {
    /// Nothing of it was, and nothing will be. The writer may go on.
    NotWritten(Error),
    /// It may have been or not; the writer is of no more use.
    Unknown(Error),
}

/// Redirect topics. [`KafkaLog`](crate::KafkaLog) is the one that is used; tests make its steps fail.
pub trait Log: Send + Sync + 'static {
    /// Writes to a partition.
    type Writer: LogWriter;

    /// Makes a writer. When it returns, nothing that an earlier writer of this source partition does has an effect any
    /// more, and all that it did can be read.
    fn open(
        &self,
        of: &SourcePartition,
    ) -> impl Future<Output = Result<Self::Writer, Error>> + Send;

    /// Shows what was written from `from` on, all of it that was there at the call, until `visit` has enough. Gives back
    /// what was collected, and where the partition ended.
    fn read<T: Send + 'static>(
        &self,
        of: &SourcePartition,
        from: Offset,
        collected: T,
        visit: impl FnMut(&mut T, Offset, LogRecord) -> ControlFlow<()> + Send + 'static,
    ) -> impl Future<Output = Result<(T, Offset), Error>> + Send;

    /// The offset behind the last record, whoever wrote it.
    fn end(&self, of: &SourcePartition) -> impl Future<Output = Result<Offset, Error>> + Send;

    /// Writes a record for the owner, whoever that is.
    fn send(
        &self,
        of: &SourcePartition,
        record: LogRecord,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// What time it is: records are due by it. All owners' clocks should agree about it.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Writes to a partition, as long as no other writer is opened for it.
pub trait LogWriter: Send + 'static {
    /// Writes records, all or none, and says where each is. There is no time limit.
    fn append(
        &mut self,
        records: &[LogRecord],
    ) -> impl Future<Output = Result<Vec<Offset>, AppendError>> + Send;
}

impl LogRecord {
    /// Removes what was written about a key.
    pub(crate) fn tombstone(key: String) -> Self {
        Self {
            key: key.into_bytes(),
            value: None,
            headers: Headers::new(),
        }
    }
}

impl AppendError {
    /// Why.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::NotWritten(error) | Self::Unknown(error) => error,
        }
    }
}

impl<L: Log> Log for Arc<L> {
    type Writer = L::Writer;

    fn open(
        &self,
        of: &SourcePartition,
    ) -> impl Future<Output = Result<Self::Writer, Error>> + Send {
        (**self).open(of)
    }

    fn read<T: Send + 'static>(
        &self,
        of: &SourcePartition,
        from: Offset,
        collected: T,
        visit: impl FnMut(&mut T, Offset, LogRecord) -> ControlFlow<()> + Send + 'static,
    ) -> impl Future<Output = Result<(T, Offset), Error>> + Send {
        (**self).read(of, from, collected, visit)
    }

    fn end(&self, of: &SourcePartition) -> impl Future<Output = Result<Offset, Error>> + Send {
        (**self).end(of)
    }

    fn send(
        &self,
        of: &SourcePartition,
        record: LogRecord,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        (**self).send(of, record)
    }

    fn now(&self) -> SystemTime {
        (**self).now()
    }
}

impl std::fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            group,
            topic,
            partition,
            ..
        } = self;
        write!(f, "{topic}[{partition}] of group {group:?}")
    }
}
