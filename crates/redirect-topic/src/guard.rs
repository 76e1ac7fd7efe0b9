//! The consumer's side: whose turn it is, and where a record goes that failed.

use std::sync::Arc;

use cdc_event::{Admission, KafkaPosition, Later, OrderError, PartitionOrder, Record, Unfinished};
use metrics::counter;
use tokio::task::JoinSet;

use crate::ask::Ask;
use crate::error::Error;
use crate::metric;
use crate::partition::Owned;
use crate::plan::{Left, View};
use crate::registry::Registry;
use crate::tell::tell_held;

/// One assignment of a partition. It ends when it is dropped, or when the partition is taken over elsewhere.
pub(crate) struct Guard {
    owned: Arc<Owned>,
    newest: Option<i64>,
    registry: Arc<Registry>,
    /// What writes, and what follows; dropped with it.
    _tasks: JoinSet<()>,
}

impl Guard {
    pub(crate) fn new(
        owned: Arc<Owned>,
        newest: Option<i64>,
        registry: Arc<Registry>,
        tasks: JoinSet<()>,
    ) -> Self {
        registry.insert(&owned);
        Self {
            owned,
            newest,
            registry,
            _tasks: tasks,
        }
    }

    fn check(&self, origin: &KafkaPosition) -> Result<(), Error> {
        let of = &self.owned.of;
        if origin.partition == of.partition && origin.topic == of.topic {
            return Ok(());
        }
        Err(Error::NotOfPartition {
            record: origin.clone(),
            partition: of.to_string(),
        })
    }

    async fn admitted(&self, record: &Record) -> Result<Admission, Error> {
        self.check(&record.origin)?;
        let view = self.owned.index().view(record);
        match view {
            View::Free => return Ok(Admission::Process),
            View::DealtWith => return Ok(Admission::DealtWith),
            View::Behind => {}
        }
        let copy = Arc::new(record.clone());
        let admission = self.owned.ask(|reply| Ask::Admit(copy, reply)).await?;
        if admission == Admission::Parked {
            self.count(metric::REASON_FOLLOWER);
        }
        Ok(admission)
    }

    async fn parked(&self, record: &Record, left: &[Unfinished]) -> Result<(), Error> {
        self.check(&record.origin)?;
        let copy = Arc::new(record.clone());
        let remainders = left.iter().map(Left::of).collect();
        let parked = self.owned.ask(|reply| Ask::Park(copy, remainders, reply));
        parked.await?;
        self.count(metric::REASON_FAILED);
        tell_held(&self.owned, record, left);
        Ok(())
    }

    async fn forgotten(&self, committed: i64) -> Result<(), Error> {
        while self
            .owned
            .ask(|reply| Ask::Forget(committed, reply))
            .await?
        {}
        self.owned.index().keep_marked(committed);
        Ok(())
    }

    fn count(&self, reason: &'static str) {
        let group = self.owned.of.group.clone();
        counter!(metric::PARKED, metric::GROUP => group, metric::REASON => reason).increment(1);
    }
}

impl PartitionOrder for Guard {
    fn admit<'a>(&'a self, record: &'a Record) -> Later<'a, Result<Admission, OrderError>> {
        Box::pin(async move { Ok(self.admitted(record).await?) })
    }

    fn park<'a>(
        &'a self,
        record: &'a Record,
        left: &'a [Unfinished],
    ) -> Later<'a, Result<(), OrderError>> {
        Box::pin(async move { Ok(self.parked(record, left).await?) })
    }

    fn forget(&self, committed: i64) -> Later<'_, Result<(), OrderError>> {
        Box::pin(async move { Ok(self.forgotten(committed).await?) })
    }

    fn newest_offset(&self) -> Option<i64> {
        self.newest
    }

    fn release(&self) -> Later<'_, ()> {
        Box::pin(self.owned.release())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.registry.remove(&self.owned);
        self.owned.end(None);
    }
}
