//! Taking a partition over.

use std::ops::ControlFlow;
use std::sync::Arc;

use cdc_kafka::Offset;

use crate::entry_id::EntryKey;
use crate::error::Error;
use crate::fact::{Fact, Owner};
use crate::index::{Index, Source};
use crate::kafka_log::redirect_topic;
use crate::known::Known;
use crate::layout::Layout;
use crate::log::{AppendError, Log, LogRecord, LogWriter, SourcePartition};
use crate::memory::Memory;
use crate::settings::RedirectLimits;

/// How partitions are taken over.
#[derive(Debug)]
pub(crate) struct Opening<L> {
    pub(crate) log: Arc<L>,
    pub(crate) limits: RedirectLimits,
    pub(crate) memory: Arc<Memory>,
}

/// A partition that was taken over.
pub(crate) struct Opened<W> {
    pub(crate) writer: W,
    pub(crate) index: Index,
    pub(crate) known: Known,
}

/// On what condition.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From<'a> {
    /// Whoever has it.
    Anybody,
    /// As [`Anybody`](Self::Anybody), and offsets mean other records from now on.
    Anew,
    /// Only if nobody had it since.
    Oneself(&'a str),
}

impl<L: Log> Opening<L> {
    /// Takes a partition over as `token`: who had it is fenced first, then all is read that ever will be there of it, and
    /// then it is written whose it is.
    pub(crate) async fn open(
        &self,
        of: &SourcePartition,
        token: &str,
        from: From<'_>,
    ) -> Result<Opened<L::Writer>, Error> {
        if let From::Oneself(before) = from {
            // First without fencing anybody.
            let (index, _) = self.restore(of).await?;
            is_still(&index, before)?;
        }
        let mut writer = self.log.open(of).await?;
        let (mut index, end) = self.restore(of).await?;
        let mut generation = index.generation();
        match from {
            From::Anybody => {}
            From::Anew => generation = generation.saturating_add(1),
            From::Oneself(before) => is_still(&index, before)?,
        }
        let owner = Owner {
            token: token.to_owned(),
            generation,
        };
        let (partition, fact) = (of.partition, Fact::Owner(owner));
        let key = EntryKey::Owner { partition };
        let written = writer.append(&[fact.encode(&key)]).await;
        let places = written.map_err(AppendError::into_error)?;
        let known = Known::read_to(end).and_written(&places);
        index.absorb(key, Some(fact), end, Source::Written);
        Ok(Opened {
            writer,
            index,
            known,
        })
    }

    /// What is written now.
    pub(crate) async fn restore(&self, of: &SourcePartition) -> Result<(Index, Offset), Error> {
        let index = Index::new(of.clone(), self.limits, Arc::clone(&self.memory));
        let partition = of.clone();
        let take_in = move |read: &mut Result<Index, Error>, at: Offset, record: LogRecord| {
            let Ok(index) = read else {
                return ControlFlow::Break(());
            };
            match understood(&partition, record) {
                Ok(Some((key, fact))) => {
                    index.absorb(key, fact, at, Source::Found);
                    ControlFlow::Continue(())
                }
                Ok(None) => ControlFlow::Continue(()),
                Err(error) => {
                    *read = Err(error);
                    ControlFlow::Break(())
                }
            }
        };
        let (index, end) = self.log.read(of, Offset(0), Ok(index), take_in).await?;
        Ok((index?, end))
    }
}

/// What a record says, if it is about this source partition.
pub(crate) fn understood(
    of: &SourcePartition,
    record: LogRecord,
) -> Result<Option<(EntryKey, Option<Fact>)>, Error> {
    let unreadable = |key: &[u8], reason: String| Error::Unreadable {
        topic: redirect_topic(&of.group, &of.topic),
        partition: of.partition,
        key: String::from_utf8_lossy(key).into_owned(),
        reason,
    };
    if Layout::is_about(&record.key) {
        return Ok(None);
    }
    let Some(key) = EntryKey::parse(&record.key) else {
        return Err(unreadable(&record.key, "its key is none of ours".into()));
    };
    if key.partition() != of.partition {
        return Ok(None);
    }
    let written_key = record.key.clone();
    match Fact::decode(&of.topic, &key, record) {
        Ok(fact) => Ok(Some((key, fact))),
        Err(error) => Err(unreadable(&written_key, error.to_string())),
    }
}

fn is_still(index: &Index, token: &str) -> Result<(), Error> {
    if index.is_of(token) {
        return Ok(());
    }
    Err(Error::Superseded(index.of.to_string()))
}
