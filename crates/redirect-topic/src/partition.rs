//! A redirect partition that this instance owns.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cdc_event::DeadHead;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::ask::{Ask, Reply};
use crate::error::Error;
use crate::index::Index;
use crate::known::Known;
use crate::log::SourcePartition;

/// Things that are asked and not begun.
const QUEUE: usize = 1024;

/// What is begun may take so long to end when the partition is given away.
const GRACE: Duration = Duration::from_secs(2);

/// And so long to notice that it has to.
const LET_GO: Duration = Duration::from_secs(1);

/// A redirect partition that this instance owns.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) of: SourcePartition,
    pub(crate) policy: DeadHead,
    /// Tells this owner from others.
    pub(crate) token: String,
    index: Mutex<Index>,
    asks: mpsc::Sender<Ask>,
    /// It is somebody else's, or nobody's: nothing of it goes on here.
    pub(crate) ended: CancellationToken,
    /// Why it ended, if not because it was given away.
    failed: OnceLock<Error>,
    /// Something may be due, or was given back.
    changed: Arc<watch::Sender<()>>,
    known: Mutex<Known>,
}

impl Owned {
    /// With what is asked of it.
    pub(crate) fn new(
        index: Index,
        known: Known,
        token: String,
        policy: DeadHead,
        changed: Arc<watch::Sender<()>>,
    ) -> (Arc<Self>, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(QUEUE);
        let owned = Self {
            of: index.of.clone(),
            policy,
            token,
            index: Mutex::new(index),
            asks,
            ended: CancellationToken::new(),
            failed: OnceLock::new(),
            changed,
            known: Mutex::new(known),
        };
        (Arc::new(owned), asked)
    }

    /// Asks, and waits for the answer. Cancel safe: it may be done all the same.
    ///
    /// # Errors
    ///
    /// Why it was not done, or is not known to be; [`Error::Superseded`] when the partition is not owned any more.
    pub(crate) async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        if self.asks.send(ask(reply)).await.is_err() {
            return Err(self.why());
        }
        answer.await.map_err(|_| self.why())?
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something may be due, or was given back.
    pub(crate) fn has_changed(&self) {
        self.changed.send_replace(());
    }

    pub(crate) fn known(&self) -> Known {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More is known.
    pub(crate) fn knows(&self, more: impl FnOnce(Known) -> Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = more(*known);
    }

    /// Nothing of it goes on here.
    pub(crate) fn end(&self, why: Option<Error>) {
        if let Some(why) = why {
            // The first reason counts.
            self.failed.set(why).ok();
        }
        self.index().closing = true;
        self.ended.cancel();
        self.has_changed();
    }

    /// Why nothing is done.
    pub(crate) fn why(&self) -> Error {
        let superseded = || Error::Superseded(self.of.to_string());
        self.failed.get().cloned().unwrap_or_else(superseded)
    }

    /// Lets what is begun end, for a moment.
    pub(crate) async fn release(&self) {
        self.index().closing = true;
        let idle = || async {
            let mut changed = self.changed.subscribe();
            changed
                .wait_for(|()| self.index().taken.is_empty())
                .await
                .ok();
        };
        if tokio::time::timeout(GRACE, idle()).await.is_err() {
            self.ended.cancel();
            tokio::time::timeout(LET_GO, idle()).await.ok();
        }
        self.end(None);
    }
}
