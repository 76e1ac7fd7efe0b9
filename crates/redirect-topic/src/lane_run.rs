//! One lane, from when it is due until it is given back.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cdc_event::{
    Backoff, DrainError, Fate, Head, HeadHandler, NotDealt, OrderDisposition, Record, Turn,
    Unfinished, random_fraction,
};
use cdc_kafka::Offset;
use metrics::counter;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::ask::Ask;
use crate::entry_id::EntryKey;
use crate::error::Error;
use crate::fact::{Fact, record_size};
use crate::lane::LaneKey;
use crate::log::{Log, LogRecord};
use crate::metric;
use crate::opening::{Opening, understood};
use crate::partition::Owned;
use crate::plan::{Given, Left};
use crate::tell::{Causes, tell_held};

/// How long a lane may be run before others get their turn.
const TURN: Duration = Duration::from_secs(5);

/// Between tries to write what came of an attempt.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// For a word that is written on the way out.
const LAST_WORD: Duration = Duration::from_millis(500);

/// Records that are read ahead, and their bytes.
const AHEAD: (usize, usize) = (256, 1024 * 1024);

/// When no more is begun, and when what is begun is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Stops {
    pub(crate) stop: CancellationToken,
    pub(crate) abandon: CancellationToken,
}

/// One lane, from when it is due until it is given back.
pub(crate) struct LaneRun<L> {
    taken: Taken,
    heads: Arc<dyn HeadHandler>,
    opening: Arc<Opening<L>>,
    stops: Stops,
}

/// A lane that nobody else runs; given back when it is dropped.
struct Taken {
    owned: Arc<Owned>,
    lane: LaneKey,
    not_before: SystemTime,
}

/// The head of a lane, as it is known.
struct Found {
    given: Given,
    record: Option<Arc<Record>>,
    attempts: u32,
    delays: u16,
    abandoned: u32,
    first_failed_at: Option<SystemTime>,
    turn: Turn,
    /// Its last attempt may have ended its owner.
    is_doubtful: bool,
}

/// Why a lane is not run any longer.
enum Over {
    /// Nothing of it is due.
    Done,
    /// Not before this has passed.
    Later(Duration),
    /// The partition is not owned any more.
    Ended,
    Failed(Box<DrainError>),
}

impl<L: Log> LaneRun<L> {
    pub(crate) fn new(
        owned: Arc<Owned>,
        lane: LaneKey,
        heads: Arc<dyn HeadHandler>,
        opening: Arc<Opening<L>>,
        stops: Stops,
    ) -> Self {
        let taken = Taken {
            owned,
            lane,
            not_before: SystemTime::UNIX_EPOCH,
        };
        Self {
            taken,
            heads,
            opening,
            stops,
        }
    }

    /// Deals with one head after the other.
    ///
    /// # Errors
    ///
    /// The handler cannot go on, or what waits is not there any more.
    pub(crate) async fn run(mut self) -> Result<(), Box<DrainError>> {
        let started = Instant::now();
        loop {
            let Err(over) = self.one().await else {
                if self.stops.stop.is_cancelled() || self.taken.owned.index().closing {
                    return Ok(());
                }
                if started.elapsed() >= TURN {
                    self.taken.not_before = self.opening.log.now();
                    return Ok(());
                }
                continue;
            };
            match over {
                Over::Done | Over::Ended => return Ok(()),
                Over::Later(pause) => {
                    self.taken.not_before = self.opening.log.now() + pause;
                    return Ok(());
                }
                Over::Failed(error) => return Err(error),
            }
        }
    }

    /// Deals with the head once, as far as it goes.
    async fn one(&mut self) -> Result<(), Over> {
        let owned = Arc::clone(&self.taken.owned);
        let found = self.taken.head(self.opening.log.now()).ok_or(Over::Done)?;
        let record = match &found.record {
            Some(record) => Arc::clone(record),
            None => self.load(&found.given).await?,
        };
        let given = &found.given;
        let mut abandoned = found.abandoned;
        if found.is_doubtful {
            abandoned = self
                .insist(|reply| Ask::Begin(given.clone(), reply))
                .await?;
        }
        let head = found.head(&record, abandoned);
        let dealt = tokio::select! {
            biased;
            () = owned.ended.cancelled() => return Err(Over::Ended),
            dealt = self.heads.deal(&head) => dealt,
            () = self.stops.abandon.cancelled() => Err(NotDealt::Stopped),
        };
        let left = match dealt {
            Ok(left) => left,
            Err(not_dealt) => return Err(self.not_dealt(&found, &head, not_dealt).await),
        };
        let remainders: Vec<Left> = left.iter().map(Left::of).collect();
        let settle = |reply| {
            Ask::Settle(
                given.clone(),
                Arc::clone(&record),
                remainders.clone(),
                reply,
            )
        };
        self.insist(settle).await?;
        self.tell(&record, &left);
        Ok(())
    }

    /// Asks until it is done. What came of an attempt is worth it: it would be made again otherwise.
    async fn insist<T>(
        &self,
        ask: impl Fn(tokio::sync::oneshot::Sender<Result<T, Error>>) -> Ask,
    ) -> Result<T, Over> {
        let owned = &self.taken.owned;
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        loop {
            let asked = tokio::select! {
                biased;
                asked = owned.ask(&ask) => asked,
                () = self.stops.abandon.cancelled() => return Err(Over::Ended),
            };
            let error = match asked {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match error.disposition() {
                OrderDisposition::Transient => {}
                OrderDisposition::Superseded => return Err(Over::Ended),
                OrderDisposition::Permanent => {
                    return Err(Over::Failed(Box::new(DrainError::Order(error.into()))));
                }
            }
            tokio::select! {
                biased;
                () = owned.ended.cancelled() => return Err(Over::Ended),
                () = sleep(backoff.next_delay(random_fraction())) => {}
            }
        }
    }

    async fn not_dealt(&self, found: &Found, head: &Head, not_dealt: NotDealt) -> Over {
        if found.is_doubtful {
            // Nobody died of it. Without this word it counts as if.
            let given = found.given.clone();
            let word = self.taken.owned.ask(|reply| Ask::LetGo(given, reply));
            timeout(LAST_WORD, word).await.ok();
        }
        match not_dealt {
            NotDealt::Stopped => Over::Ended,
            NotDealt::NotNow(pause) => Over::Later(pause),
            NotDealt::Fatal(error) => Over::Failed(Box::new(DrainError::Handler {
                origin: head.record.origin.clone(),
                error,
            })),
        }
    }

    /// Reads a record again that was not held, with those behind it for which there is room.
    async fn load(&self, given: &Given) -> Result<Arc<Record>, Over> {
        type Ahead = (Vec<(EntryKey, Offset, Record)>, usize);
        let owned = &self.taken.owned;
        let of = owned.of.clone();
        let collect = move |(found, bytes): &mut Ahead, at, record: LogRecord| {
            if let Ok(Some((key, Some(Fact::Waits(waits))))) = understood(&of, record) {
                *bytes += record_size(&waits.record);
                found.push((key, at, waits.record));
            }
            if found.len() >= AHEAD.0 || *bytes >= AHEAD.1 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let reading = self
            .opening
            .log
            .read(&owned.of, given.at, Ahead::default(), collect);
        let read = tokio::select! {
            biased;
            () = owned.ended.cancelled() => return Err(Over::Ended),
            () = self.stops.abandon.cancelled() => return Err(Over::Ended),
            read = reading => read,
        };
        let found = match read {
            Ok(((found, _), _)) => found,
            Err(error) => return Err(self.unread(error)),
        };
        let wanted = self.hold(given, found);
        match wanted {
            Some(record) => Ok(record),
            None => Err(self.missing(given).await),
        }
    }

    /// A record that waits is not where it was written. Another owner may have dealt with it, and Kafka removed it since.
    async fn missing(&self, given: &Given) -> Over {
        let owned = &self.taken.owned;
        match self.opening.restore(&owned.of).await {
            Ok((index, _)) if index.is_of(&owned.token) => {
                let lost = Error::Lost(cdc_event::KafkaPosition {
                    topic: owned.of.topic.clone(),
                    partition: given.id.partition,
                    offset: given.id.offset,
                });
                Over::Failed(Box::new(DrainError::Order(lost.into())))
            }
            Ok(_) => {
                owned.end(Some(Error::Superseded(owned.of.to_string())));
                Over::Ended
            }
            Err(error) => self.unread(error),
        }
    }

    fn unread(&self, error: Error) -> Over {
        if error.disposition() == OrderDisposition::Transient {
            warn!(partition = %self.taken.owned.of, error = %Causes(&error), "a record that waits cannot be read");
            return Over::Later(PAUSE.1);
        }
        Over::Failed(Box::new(DrainError::Order(error.into())))
    }

    /// Holds what was read, but for the record that is wanted: that one is given back.
    fn hold(&self, given: &Given, found: Vec<(EntryKey, Offset, Record)>) -> Option<Arc<Record>> {
        let mut wanted = None;
        let mut index = self.taken.owned.index();
        for (key, at, record) in found {
            let EntryKey::Entry(id) = key else { continue };
            if at == given.at && id == given.id {
                wanted = Some(Arc::new(record));
            } else {
                index.hold(&id, at, &record);
            }
        }
        wanted
    }

    fn tell(&self, record: &Record, left: &[Unfinished]) {
        if left.is_empty() {
            self.count(metric::OUTCOME_SUCCEEDED);
        }
        for unfinished in left {
            self.count(match unfinished.fate {
                Fate::Again(_) => metric::OUTCOME_RETRY,
                Fate::Dead => metric::OUTCOME_DEAD,
            });
        }
        tell_held(&self.taken.owned, record, left);
    }

    fn count(&self, outcome: &'static str) {
        let group = self.taken.owned.of.group.clone();
        counter!(metric::ATTEMPTS, metric::GROUP => group, metric::OUTCOME => outcome).increment(1);
    }
}

impl Taken {
    /// The record whose turn it is, if it is due.
    fn head(&self, now: SystemTime) -> Option<Found> {
        let index = self.owned.index();
        let lane = index.lanes.get(&self.lane)?;
        let (id, entry) = lane.head()?;
        let progress = &entry.progress;
        if progress.due().is_some_and(|due| due > now) {
            return None;
        }
        let turn = if lane.gives_up(id, progress) {
            Turn::GiveUp
        } else {
            Turn::Try
        };
        Some(Found {
            given: Given {
                lane: self.lane.clone(),
                id: id.clone(),
                at: entry.at,
            },
            record: entry.held.as_ref().map(|held| Arc::clone(&held.record)),
            attempts: progress.attempts,
            delays: progress.delays,
            abandoned: index.begun.get(id).copied().unwrap_or(0),
            first_failed_at: progress.first_failed_at(),
            turn,
            is_doubtful: entry.found,
        })
    }
}

impl Found {
    fn head(&self, record: &Record, abandoned: u32) -> Head {
        Head {
            record: record.clone(),
            attempts: self.attempts,
            delays: self.delays,
            abandoned,
            first_failed_at: self.first_failed_at,
            turn: self.turn,
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.owned.index().give_back(&self.lane, self.not_before);
        self.owned.has_changed();
    }
}
