//! Writes what is asked of a partition's owner, as many things in one transaction as have come meanwhile.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Backoff, OrderDisposition, random_fraction};
use cdc_kafka::Offset;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::warn;

use crate::ask::{Ask, Step};
use crate::error::Error;
use crate::fact::Fact;
use crate::index::Source;
use crate::log::{AppendError, Log, LogRecord, LogWriter};
use crate::opening::{From, Opened, Opening};
use crate::partition::Owned;
use crate::plan::Write;
use crate::tell::Causes;

/// Things that are written in one go, and bytes beyond which there are no more.
const BATCH: (usize, usize) = (500, 4 * 1024 * 1024);

/// Things that are asked and put off.
const PUT_OFF: usize = 2048;

/// Between tries to go on after it is not known what was written.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// The only one that writes to a partition, and the only one that changes what is known of it.
///
/// What is asked is decided by what is committed, and counts when it is committed itself. So things that concern one
/// lane are written one after the other; those of different lanes share a transaction.
pub(crate) struct Writer<L: Log> {
    owned: Arc<Owned>,
    opening: Arc<Opening<L>>,
    log: L::Writer,
    asked: mpsc::Receiver<Ask>,
    /// Asked, and not begun.
    later: VecDeque<Ask>,
}

impl<L: Log> Writer<L> {
    pub(crate) fn new(
        owned: Arc<Owned>,
        opening: Arc<Opening<L>>,
        log: L::Writer,
        asked: mpsc::Receiver<Ask>,
    ) -> Self {
        Self {
            owned,
            opening,
            log,
            asked,
            later: VecDeque::new(),
        }
    }

    /// Writes until the partition is given away or cannot be kept.
    pub(crate) async fn run(mut self) {
        let owned = Arc::clone(&self.owned);
        let why = tokio::select! {
            biased;
            () = owned.ended.cancelled() => None,
            why = self.work() => Some(why),
        };
        owned.end(why);
        self.asked.close();
        for ask in self.later {
            ask.refuse(owned.why());
        }
        while let Some(ask) = self.asked.recv().await {
            ask.refuse(owned.why());
        }
    }

    /// Writes until it cannot go on, and says why.
    async fn work(&mut self) -> Error {
        loop {
            if let Some(ask) = self.wait().await {
                self.later.push_back(ask);
            }
            let steps = self.gather();
            if let Err(error) = self.write(steps).await {
                return error;
            }
        }
    }

    async fn wait(&mut self) -> Option<Ask> {
        if self.later.is_empty() {
            self.asked.recv().await
        } else {
            None
        }
    }

    /// What is written next. What needs no word is answered.
    fn gather(&mut self) -> Vec<Step> {
        while self.later.len() < PUT_OFF
            && let Ok(ask) = self.asked.try_recv()
        {
            self.later.push_back(ask);
        }
        let (mut steps, mut bytes) = (Vec::new(), 0);
        let mut touched = HashSet::new();
        let now = self.opening.log.now();
        let index = self.owned.index();
        for ask in std::mem::take(&mut self.later) {
            if ask.is_given_up() {
                continue;
            }
            let is_free = match ask.lane(&index) {
                Some(lane) => touched.insert(lane),
                None => true,
            };
            if !is_free || steps.len() >= BATCH.0 || bytes >= BATCH.1 {
                self.later.push_back(ask);
                continue;
            }
            let step = ask.plan(&index, self.owned.policy, now);
            if step.writes.is_empty() {
                (step.tell)(Ok(()));
            } else {
                bytes += step.writes.iter().map(size).sum::<usize>();
                steps.push(step);
            }
        }
        steps
    }

    async fn write(&mut self, steps: Vec<Step>) -> Result<(), Error> {
        if steps.is_empty() {
            return Ok(());
        }
        let error = match self.log.append(&encoded(&steps)).await {
            Ok(places) => {
                self.written(steps, &places);
                return Ok(());
            }
            Err(AppendError::Unknown(error)) => return self.not_known(steps, error).await,
            Err(AppendError::NotWritten(error)) => error,
        };
        if steps.len() == 1 {
            steps
                .into_iter()
                .for_each(|step| (step.tell)(Err(error.clone())));
            return Ok(());
        }
        // One of them may be what is refused. None concerns another, so each can be written by itself.
        let mut steps = steps.into_iter();
        while let Some(step) = steps.next() {
            match self.log.append(&encoded(std::slice::from_ref(&step))).await {
                Ok(places) => self.written(vec![step], &places),
                Err(AppendError::NotWritten(error)) => (step.tell)(Err(error)),
                Err(AppendError::Unknown(error)) => {
                    let left = std::iter::once(step).chain(steps).collect();
                    return self.not_known(left, error).await;
                }
            }
        }
        Ok(())
    }

    fn written(&self, steps: Vec<Step>, places: &[Offset]) {
        let mut told = Vec::with_capacity(steps.len());
        let mut at = places.iter();
        let mut index = self.owned.index();
        for step in steps {
            for (key, fact) in step.writes {
                // As many as were written.
                let place = at.next().copied().unwrap_or(Offset(0));
                index.absorb(key, fact, place, Source::Written);
            }
            told.push(step.tell);
        }
        drop(index);
        self.owned.knows(|known| known.and_written(places));
        told.into_iter().for_each(|tell| tell(Ok(())));
        self.owned.has_changed();
    }

    /// Finds out what was written, with a new writer; whoever asked does it again.
    async fn not_known(&mut self, steps: Vec<Step>, error: Error) -> Result<(), Error> {
        warn!(
            partition = %self.owned.of, error = %Causes(&error),
            "it is not known whether records that wait were written: they are read again"
        );
        steps
            .into_iter()
            .for_each(|step| (step.tell)(Err(error.clone())));
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        loop {
            let from = From::Oneself(&self.owned.token);
            match self
                .opening
                .open(&self.owned.of, &self.owned.token, from)
                .await
            {
                Ok(opened) => {
                    self.go_on(opened);
                    return Ok(());
                }
                Err(error) if error.disposition() == OrderDisposition::Transient => {
                    warn!(partition = %self.owned.of, error = %Causes(&error), "waiting for the redirect topic");
                    sleep(backoff.next_delay(random_fraction())).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn go_on(&mut self, opened: Opened<L::Writer>) {
        let Opened {
            writer,
            index: mut found,
            known,
        } = opened;
        self.log = writer;
        let mut index = self.owned.index();
        found.replaces(&mut index);
        *index = found;
        drop(index);
        self.owned.knows(|_| known);
        self.owned.has_changed();
    }
}

fn encoded(steps: &[Step]) -> Vec<LogRecord> {
    let writes = steps.iter().flat_map(|step| &step.writes);
    let encoded = writes.map(|(key, fact)| match fact {
        Some(fact) => fact.encode(key),
        None => LogRecord::tombstone(key.to_string()),
    });
    encoded.collect()
}

fn size((_, fact): &Write) -> usize {
    match fact {
        Some(Fact::Waits(waits)) => waits.size(),
        _ => 0,
    }
}
