//! A redirect topic in memory, as Kafka has it: transactions that count as a whole or not at all, writers that fence
//! those before them, compaction, answers that get lost, and all of it takes its time.

mod partition;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use cdc_kafka::Offset;
use order_model::Random;
use redirect_topic::{AppendError, Error, Log, LogRecord, LogWriter, SourcePartition};
use tokio::time::{Instant, sleep};

use self::partition::{Ending, Partition, Writes};
use super::waiting::Waiting;

/// Somebody who has begun a transaction and is silent for so long is out.
const TRANSACTION: Duration = Duration::from_secs(20);

/// Where a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailPoint {
    /// It is said to be done in no case.
    Refused,
    /// It is not done, and that is not known.
    Before,
    /// It is done, and that is not known.
    After,
}

/// The redirect topic of one group and source topic.
#[derive(Clone)]
pub(crate) struct MemoryLog {
    started: Instant,
    state: Arc<Mutex<State>>,
    /// Whoever reads refers to it.
    reading: Arc<()>,
}

struct State {
    random: Random,
    /// Where a step fails, and how many go well before.
    fault: Option<(usize, FailPoint)>,
    /// The newest writer of each source partition.
    writers: HashMap<i32, u64>,
    partitions: Vec<Partition>,
    waiting: Waiting,
}

/// Writes for the owner of a source partition.
pub(crate) struct MemoryWriter {
    log: MemoryLog,
    of: SourcePartition,
    number: u64,
}

impl MemoryLog {
    pub(crate) fn new(seed: u64, partitions: usize) -> Self {
        let state = State {
            random: Random::new(!seed),
            fault: None,
            writers: HashMap::new(),
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            waiting: Waiting::default(),
        };
        Self {
            started: Instant::now(),
            state: Arc::new(Mutex::new(state)),
            reading: Arc::default(),
        }
    }

    /// The step after so many others fails here.
    pub(crate) fn arm_after(&self, steps: usize, point: FailPoint) {
        self.state().fault = Some((steps, point));
    }

    /// No step fails.
    pub(crate) fn disarm(&self) {
        self.state().fault = None;
    }

    /// What is written counts.
    pub(crate) fn waiting<T>(&self, look: impl FnOnce(&Waiting) -> T) -> T {
        look(&self.state().waiting)
    }

    /// Removes records of which there are newer ones, up to somewhere. Tombstones stay for as long as somebody reads who may
    /// have seen what they remove: a day, in Kafka.
    pub(crate) fn compact(&self) {
        let is_read = Arc::weak_count(&self.reading) > 0;
        let mut state = self.state();
        let State {
            random, partitions, ..
        } = &mut *state;
        for partition in partitions {
            let forgets = !is_read && random.percent(30);
            partition.compact(random, forgets);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Some time passes, a long one now and then.
    async fn pass(&self) {
        let (turns, long) = {
            let mut state = self.state();
            (state.random.below(4), state.random.below(300))
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        if long == 0 {
            sleep(Duration::from_secs(3)).await;
        }
    }

    async fn step(&self) -> Option<FailPoint> {
        self.pass().await;
        let mut state = self.state();
        let (steps, point) = state.fault?;
        state.fault = steps.checked_sub(1).map(|steps| (steps, point));
        (steps == 0).then_some(point)
    }
}

impl State {
    fn place(&self, of: &SourcePartition) -> usize {
        usize::try_from(of.partition).unwrap() % self.partitions.len()
    }

    /// Ends what is open.
    fn end(&mut self, place: usize, source: i32, ending: Ending) {
        let committed = self.partitions[place].end(source, ending);
        for record in committed {
            self.waiting.take_in(record);
        }
    }

    /// Nothing that an earlier writer does counts any more. What it asked for may still be done.
    fn fence(&mut self, place: usize, source: i32) -> u64 {
        let asked = self.partitions[place].is_asked(source) && self.random.percent(50);
        let ending = if asked { Ending::Commit } else { Ending::Abort };
        self.end(place, source, ending);
        let number = self.writers.entry(source).or_default();
        *number += 1;
        *number
    }
}

impl Log for MemoryLog {
    type Writer = MemoryWriter;

    async fn open(&self, of: &SourcePartition) -> Result<MemoryWriter, Error> {
        let point = self.step().await;
        if matches!(point, Some(FailPoint::Refused | FailPoint::Before)) {
            return Err(broken());
        }
        let number = {
            let mut state = self.state();
            let place = state.place(of);
            state.fence(place, of.partition)
        };
        self.pass().await;
        match point {
            None => Ok(MemoryWriter {
                log: self.clone(),
                of: of.clone(),
                number,
            }),
            Some(_) => Err(broken()),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        of: &SourcePartition,
        from: Offset,
        mut collected: T,
        mut visit: impl FnMut(&mut T, Offset, LogRecord) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(T, Offset), Error> {
        if self.step().await.is_some() {
            return Err(broken());
        }
        let _reading = Arc::downgrade(&self.reading);
        let end = self.end_of(of);
        let waits_until = Instant::now() + TRANSACTION;
        while let Some(source) = self.open_before(of, end) {
            if Instant::now() >= waits_until {
                let mut state = self.state();
                let place = state.place(of);
                state.fence(place, source);
            } else {
                sleep(Duration::from_secs(1)).await;
            }
        }
        for offset in usize::try_from(from.0).unwrap()..end {
            let found = {
                let state = self.state();
                state.partitions[state.place(of)].committed(offset)
            };
            if let Some(record) = found
                && visit(&mut collected, at(offset), record).is_break()
            {
                break;
            }
            if offset % 7 == 6 {
                self.pass().await;
            }
        }
        Ok((collected, at(end)))
    }

    async fn end(&self, of: &SourcePartition) -> Result<Offset, Error> {
        match self.step().await {
            None => Ok(at(self.end_of(of))),
            Some(_) => Err(broken()),
        }
    }

    async fn send(&self, of: &SourcePartition, record: LogRecord) -> Result<(), Error> {
        let point = self.step().await;
        if matches!(point, Some(FailPoint::Refused | FailPoint::Before)) {
            return Err(broken());
        }
        {
            let mut state = self.state();
            let place = state.place(of);
            state.partitions[place].send(record.clone());
            state.waiting.take_in(record);
        }
        self.pass().await;
        match point {
            None => Ok(()),
            Some(_) => Err(broken()),
        }
    }

    fn now(&self) -> SystemTime {
        const DAY: Duration = Duration::from_secs(86_400);
        SystemTime::UNIX_EPOCH + DAY * 20_000 + self.started.elapsed()
    }
}

impl MemoryLog {
    fn end_of(&self, of: &SourcePartition) -> usize {
        let state = self.state();
        state.partitions[state.place(of)].len()
    }

    fn open_before(&self, of: &SourcePartition, end: usize) -> Option<i32> {
        let state = self.state();
        state.partitions[state.place(of)].open_before(end)
    }
}

impl MemoryWriter {
    /// Does something for the newest writer only.
    fn write<T>(&self, write: impl FnOnce(&mut State, usize) -> T) -> Result<T, AppendError> {
        let mut state = self.log.state();
        if state.writers.get(&self.of.partition) != Some(&self.number) {
            return Err(AppendError::Unknown(broken()));
        }
        let place = state.place(&self.of);
        Ok(write(&mut state, place))
    }
}

impl LogWriter for MemoryWriter {
    async fn append(&mut self, records: &[LogRecord]) -> Result<Vec<Offset>, AppendError> {
        let source = self.of.partition;
        let point = self.log.step().await;
        let mut places = Vec::new();
        let split = self.log.state().random.below(records.len() + 1);
        let (some, others) = records.split_at(split);
        for records in [some, others] {
            let writes = Writes {
                source,
                records: records.to_vec(),
            };
            let first = self.write(|state, place| state.partitions[place].begin(writes))?;
            places.extend((first..first + records.len()).map(at));
            self.log.pass().await;
        }
        if point == Some(FailPoint::Refused) {
            self.write(|state, place| state.end(place, source, Ending::Abort))?;
            return Err(AppendError::NotWritten(broken()));
        }
        self.write(|state, place| state.partitions[place].ask(source))?;
        self.log.pass().await;
        if point == Some(FailPoint::Before) {
            // It is open, until somebody ends it.
            return Err(AppendError::Unknown(broken()));
        }
        self.write(|state, place| state.end(place, source, Ending::Commit))?;
        self.log.pass().await;
        match point {
            None => Ok(places),
            Some(_) => Err(AppendError::Unknown(broken())),
        }
    }
}

fn at(offset: usize) -> Offset {
    Offset(i64::try_from(offset).unwrap())
}

fn broken() -> Error {
    Error::Kafka {
        doing: "be lucky with",
        topic: "any".to_owned(),
        source: cdc_kafka::Error::Abandoned,
    }
}
