//! One order of things: a log of two partitions, consumers that come and go, workers, crashes.

mod consumer;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use cdc_event::{Attempt, Fate, PartId, Record};
use cdc_store::ErrorReport;
use order_model::{History, Id, Named, Random};
use ordered_lanes::{DeadHead, Disposition, Error, LaneStore, Remainder};

use self::consumer::Consumer;
use self::worker::Worker;
use super::World;
use super::faulty::{FailPoint, Faulty};
use crate::records::{HOUR, again, left, record};

const PARTITIONS: usize = 2;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) dead_head: DeadHead,
    pub(crate) poison: bool,
    pub(crate) steps: usize,
}

pub(crate) struct Run<S, W> {
    store: Arc<Faulty<S>>,
    world: Arc<W>,
    group: String,
    random: Random,
    setting: Setting,
    partitions: Vec<Partition<S>>,
    workers: Vec<Worker<S>>,
    history: History,
    healing: bool,
}

/// A partition's log, and who reads it.
struct Partition<S> {
    log: Vec<Record>,
    committed: usize,
    owner: Option<Consumer<S>>,
    /// Consumers that lost it and don't know.
    old: Vec<Consumer<S>>,
}

/// What became of the process that did a step.
enum Process {
    Goes,
    Crashed,
}

impl<S: LaneStore, W: World> Run<S, W> {
    pub(crate) fn new(
        store: Arc<S>,
        world: Arc<W>,
        group: String,
        mut random: Random,
        setting: Setting,
    ) -> Self {
        let partition = |number| Partition {
            log: log(number, &mut random),
            committed: 0,
            owner: None,
            old: Vec::new(),
        };
        let partitions = (0..PARTITIONS).map(partition).collect();
        let store = Arc::new(Faulty::new(store));
        let (workers, history) = (Vec::new(), History::default());
        Self {
            store,
            world,
            group,
            random,
            setting,
            partitions,
            workers,
            history,
            healing: false,
        }
    }

    /// Runs, lets everything come to rest, and checks. Gives the number of records handled.
    pub(crate) async fn complete(mut self, seed: u64) -> usize {
        let _named = Named(seed);
        for _ in 0..self.setting.steps {
            self.step().await;
        }
        self.heal().await;
        self.check().await;
        self.history.len()
    }

    async fn step(&mut self) {
        let partition = self.random.below(PARTITIONS);
        match self.random.below(100) {
            0..45 => self.consume(partition).await,
            45..80 => self.work().await,
            80..88 => self.claim().await,
            88..91 => self.age().await,
            91..95 => self.commit(partition).await,
            95..97 => {
                let owner = self.partitions[partition].owner.take();
                self.partitions[partition].old.extend(owner);
            }
            97..99 => self.partitions[partition].owner = None,
            _ => {
                self.workers.pop();
            }
        }
    }

    /// Lets the next call of the store fail, now and then.
    fn fault(&mut self) {
        let point = match self.random.below(if self.healing { 1 } else { 30 }) {
            1 => Some(FailPoint::Before),
            2 => Some(FailPoint::After),
            _ => None,
        };
        self.store.arm(point);
    }

    /// A call whose answer was lost is done again, or its process is gone.
    fn after(&mut self, error: &Error) -> Process {
        let crashed = error.disposition() != Disposition::Transient || self.random.percent(50);
        if crashed {
            Process::Crashed
        } else {
            Process::Goes
        }
    }

    /// The handler; gives what it left.
    async fn handle(&mut self, record: &Record) -> Vec<Remainder> {
        let part = record.part.as_ref().map(PartId::as_str);
        let of = id(record);
        self.history.called(of, part);
        let luck = if self.healing {
            0
        } else {
            self.random.below(100)
        };
        match luck {
            0..55 => {
                self.check_held(record).await;
                self.history.succeeded(of, part);
                Vec::new()
            }
            55..63 if part.is_none() => {
                self.history.partly(of, &["a", "b"]);
                ["a", "b"].map(part_left).into()
            }
            63..70 if self.setting.poison && part.is_none() => left(Fate::Dead),
            _ => {
                let mut left = again(HOUR);
                left[0].part.clone_from(&record.part);
                left
            }
        }
    }

    /// Nothing goes past a head that is held.
    async fn check_held(&self, record: &Record) {
        if self.setting.poison {
            let leftover = self.world.leftover().await;
            let (partition, offset) = id(record);
            assert!(
                !self.is_held(&leftover, partition, offset),
                "{} does not wait",
                record.origin
            );
        }
    }

    /// Whether an earlier record of the key is held.
    fn is_held(&self, leftover: &[(i32, i64, &'static str)], partition: i32, offset: i64) -> bool {
        let log = &self.partitions[usize::try_from(partition).unwrap()].log;
        let key = |offset: i64| log[usize::try_from(offset).unwrap()].key.as_deref();
        leftover.iter().any(|(other, before, status)| {
            *status == "held"
                && *other == partition
                && *before < offset
                && key(*before).is_some()
                && key(*before) == key(offset)
        })
    }

    /// No more trouble: everybody comes back, and all that can be done is done.
    async fn heal(&mut self) {
        self.healing = true;
        self.workers.clear();
        for partition in 0..PARTITIONS {
            (
                self.partitions[partition].owner,
                self.partitions[partition].old,
            ) = (None, Vec::new());
            while self.partitions[partition].committed < self.partitions[partition].log.len() {
                self.consume(partition).await;
                self.commit(partition).await;
                if self.random.percent(20) {
                    self.drain().await;
                }
            }
        }
        while self.drain().await {}
        for partition in 0..PARTITIONS {
            self.partitions[partition].owner = None;
            self.take_over(partition).await;
            self.commit(partition).await;
        }
    }

    /// Runs some lanes that are due, whenever that is; whether there were any.
    async fn drain(&mut self) -> bool {
        self.age().await;
        self.claim().await;
        let any = !self.workers.is_empty();
        while !self.workers.is_empty() {
            self.work().await;
        }
        any
    }

    async fn check(&self) {
        let leftover = self.world.leftover().await;
        let lanes = self.world.lanes().await;
        if !self.setting.poison {
            assert_eq!((leftover.len(), lanes), (0, 0), "left behind: {leftover:?}");
        }
        let waiting: Vec<_> = leftover
            .iter()
            .filter(|(_, _, status)| *status == "open")
            .collect();
        match self.setting.dead_head {
            DeadHead::Skip | DeadHead::DeadLetterLane => {
                assert_eq!((waiting.len(), lanes), (0, 0), "{leftover:?}");
            }
            DeadHead::Hold => {
                for (partition, offset, _) in waiting {
                    assert!(
                        self.is_held(&leftover, *partition, *offset),
                        "nobody comes for {partition}@{offset}"
                    );
                }
            }
        }
        for partition in &self.partitions {
            let mut keys: BTreeMap<&[u8], Vec<Id>> = BTreeMap::new();
            for record in &partition.log {
                let id = id(record);
                let waits = leftover
                    .iter()
                    .any(|(partition, offset, _)| (*partition, *offset) == id);
                assert!(
                    waits || self.history.contains(id),
                    "{} is lost",
                    record.origin
                );
                if let Some(key) = &record.key {
                    keys.entry(key).or_default().push(id);
                }
            }
            for key in keys.values() {
                self.history.check_order(key, self.setting.poison);
            }
        }
    }
}

fn part_left(name: &str) -> Remainder {
    Remainder {
        part: Some(PartId::new(name).unwrap()),
        attempt: Attempt::FIRST,
        error: ErrorReport::new("part", "a part of it did not work", []),
        fate: Fate::Again(HOUR),
        delays: 1,
    }
}

fn log(partition: usize, random: &mut Random) -> Vec<Record> {
    let partition = i32::try_from(partition).unwrap();
    let keys = [None, Some("a"), Some("a"), Some("b"), Some("c")]
        .map(|key| key.map(|key| format!("{key}{partition}")));
    let records = 8 + random.below(20);
    (0..i64::try_from(records).unwrap())
        .map(|offset| record(partition, offset, keys[random.below(keys.len())].as_deref()))
        .collect()
}

fn id(record: &Record) -> Id {
    (record.origin.partition, record.origin.offset)
}
