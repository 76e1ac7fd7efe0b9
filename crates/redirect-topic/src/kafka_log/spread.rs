//! Finds out, and writes down, over how many of its partitions the records of a redirect topic are spread.

use std::ops::ControlFlow;

use cdc_kafka::{Offset, ScannedRecord, TopicPartition};
use tokio::sync::OnceCell;

use super::{KafkaLog, KafkaWriter, log_record};
use crate::entry_id::EntryKey;
use crate::error::Error;
use crate::layout::Layout;
use crate::log::{AppendError, LogRecord, LogWriter as _, SourcePartition};

/// Several processes may come to a new topic at the same time; each of them drives out the one before it.
const TRIES: u32 = 5;

impl KafkaLog {
    /// Where records are, which stays so: it is written down when this returns.
    ///
    /// Cancel safe: it may be written down.
    pub(super) async fn settle(&self, topic: &str, of: &SourcePartition) -> Result<Layout, Error> {
        let partitions = self.prepare(topic, of).await?;
        let mut tries = 1;
        let layout = loop {
            match self.settle_once(topic, partitions).await? {
                Ok(layout) => break layout,
                Err(_) if tries < TRIES => tries += 1,
                Err(refused) => return Err(refused.into_error()),
            }
        };
        if layout.partitions() < partitions {
            tracing::warn!(
                topic,
                partitions,
                used = layout.partitions(),
                "partitions were added to a redirect topic: they stay empty, since what waits is not moved to them"
            );
        }
        Ok(layout)
    }

    /// Where records are, for who writes nothing down. It is kept in `known` once it is written: until then an owner may still
    /// come to another result.
    pub(super) async fn see(
        &self,
        topic: &str,
        of: &SourcePartition,
        known: &OnceCell<Layout>,
    ) -> Result<Layout, Error> {
        let partitions = self.prepare(topic, of).await?;
        match self.recorded(topic, partitions).await? {
            Some(layout) => Ok(*known.get_or_init(async || layout).await),
            None => self.inferred(topic, partitions).await,
        }
    }

    /// The inner error says that it could not be written down.
    async fn settle_once(
        &self,
        topic: &str,
        partitions: i32,
    ) -> Result<Result<Layout, AppendError>, Error> {
        if let Some(layout) = self.recorded(topic, partitions).await? {
            return Ok(Ok(layout));
        }
        let first = TopicPartition::new(topic, 0);
        let mut writer = KafkaWriter::open(&self.options, first, format!("{topic}-layout")).await?;
        // Whoever was at it has written it, or never will.
        if let Some(layout) = self.recorded(topic, partitions).await? {
            return Ok(Ok(layout));
        }
        let layout = self.inferred(topic, partitions).await?;
        let written = writer.append(&[layout.encode()]).await;
        Ok(written.map(|_| layout))
    }

    /// What is written down.
    ///
    /// Transactions that are open are not waited for: one of an owner who crashed ends when its partition is taken over,
    /// which comes after this. None of them is before what is looked for, since owners begin after it is written.
    async fn recorded(&self, topic: &str, partitions: i32) -> Result<Option<Layout>, Error> {
        let take = |found: &mut Option<LogRecord>, record: ScannedRecord<'_>| {
            if !record.key().is_some_and(Layout::is_about) {
                return ControlFlow::Continue(());
            }
            *found = Some(log_record(&record));
            ControlFlow::Break(())
        };
        let first = TopicPartition::new(topic, 0);
        let read = self
            .reader(topic)?
            .read_settled(&first, Offset(0), None, take);
        let (found, _) = read.await.map_err(Error::while_("read", topic))?;
        let Some(record) = found else {
            return Ok(None);
        };
        let layout = Layout::decode(&record).map_err(|reason| Error::Unreadable {
            topic: topic.to_owned(),
            partition: 0,
            key: String::from_utf8_lossy(&record.key).into_owned(),
            reason,
        })?;
        if layout.partitions() > partitions {
            return Err(Error::Shrunk {
                topic: topic.to_owned(),
                partitions,
                used: layout.partitions(),
            });
        }
        Ok(Some(layout))
    }

    /// What follows from where owners wrote before it was written down, if any did.
    async fn inferred(&self, topic: &str, partitions: i32) -> Result<Layout, Error> {
        let mut owners = Vec::new();
        for partition in 0..partitions {
            let place = TopicPartition::new(topic, partition);
            if self.end_of(&place).await? == Offset(0) {
                continue;
            }
            let take = move |owners: &mut Vec<(i32, i32)>, _, record: LogRecord| {
                if let Some(EntryKey::Owner { partition: of }) = EntryKey::parse(&record.key) {
                    owners.push((of, partition));
                }
                ControlFlow::Continue(())
            };
            (owners, _) = self.read_place(&place, Offset(0), owners, take).await?;
        }
        Layout::that_explains(&owners, partitions).ok_or_else(|| Error::Scattered {
            topic: topic.to_owned(),
            partitions,
        })
    }
}
