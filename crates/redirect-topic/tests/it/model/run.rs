//! One schedule: a source of two partitions, the processes of a group, what happens to them, and the end of it.

mod consumer;
mod handling;
mod operator;
mod ownership;
mod process;
mod rest;
mod task;

use std::num::NonZeroUsize;
use std::time::Duration;

use cdc_event::{DeadHead, NotDealt};
use order_model::{Named, Random};
use redirect_topic::{RedirectLimits, RedirectSettings};
use tokio::task::yield_now;
use tokio::time::sleep;

use self::consumer::Todo;
use self::operator::Operation;
use self::ownership::Partition;
use self::process::{Deals, Process};
use super::ledger::Ledger;
use super::log::{FailPoint, MemoryLog};
use super::source::{PARTITIONS, Source, id};

/// A delay that passes when nothing else is to do.
const LONG: Duration = Duration::from_secs(300);

const PROCESSES: usize = 2;

/// What can happen in a schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) dead_head: DeadHead,
    /// Records are given up.
    pub(crate) poison: bool,
    /// In the end an operator deals with all that was given up.
    pub(crate) is_cleared: bool,
    /// The topic is deleted and made anew once.
    pub(crate) is_made_anew: bool,
    /// Bytes of records that are held.
    pub(crate) memory: usize,
    /// Few keys and records may wait.
    pub(crate) is_tight: bool,
    /// Source partitions share a redirect partition.
    pub(crate) is_shared: bool,
    pub(crate) steps: usize,
}

/// A schedule that is under way.
pub(crate) struct Run {
    setting: Setting,
    random: Random,
    log: MemoryLog,
    ledger: Ledger,
    partitions: Vec<Partition>,
    processes: Vec<Process>,
    /// How many there have been.
    started: usize,
    deals: Deals,
    operations: Vec<Operation>,
    /// Nothing fails any more.
    healing: bool,
}

impl Run {
    /// Runs, lets everything come to rest, and checks. Gives the number of records handled.
    pub(crate) fn complete(seed: u64, setting: Setting) -> usize {
        let _named = Named(seed);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut run = Self::new(seed, setting);
            for _ in 0..setting.steps {
                run.step().await;
            }
            run.rest().await;
            run.ledger.history.len()
        })
    }

    fn new(seed: u64, setting: Setting) -> Self {
        let mut random = Random::new(seed);
        let log = MemoryLog::new(seed, if setting.is_shared { 1 } else { PARTITIONS });
        let mut ledger = Ledger::new(setting.dead_head);
        ledger.note(format!("{setting:?}"));
        let mut run = Self {
            setting,
            partitions: (0..PARTITIONS)
                .map(|partition| Partition::new(Source::new(partition, 0, &mut random)))
                .collect(),
            random,
            log,
            ledger,
            processes: Vec::new(),
            started: 0,
            deals: Deals::default(),
            operations: Vec::new(),
            healing: false,
        };
        for partition in 0..PARTITIONS {
            run.add_records(partition);
        }
        for _ in 0..PROCESSES {
            let process = run.start();
            run.processes.push(process);
        }
        run
    }

    fn add_records(&mut self, partition: usize) {
        for record in &self.partitions[partition].source.log {
            self.ledger.add(id(record), record.key.as_deref());
        }
    }

    fn settings(&self) -> RedirectSettings {
        let mut settings = RedirectSettings::new(self.setting.dead_head);
        settings.follow = Duration::from_secs(20);
        settings.concurrency = NonZeroUsize::new(3).unwrap();
        settings.limits.memory = self.setting.memory;
        if self.setting.is_tight {
            settings.limits = RedirectLimits {
                open_keys: 2,
                records: 3,
                ..settings.limits
            };
        }
        settings
    }

    fn start(&mut self) -> Process {
        self.started += 1;
        Process::start(self.started, &self.log, self.settings(), &self.deals)
    }

    async fn step(&mut self) {
        let partition = self.random.below(PARTITIONS);
        match self.random.below(200) {
            0..90 => self.consume(partition).await,
            90..140 => self.deal(),
            140..150 => self.commit(partition).await,
            150..160 => self.log.compact(),
            160..164 => self.partitions[partition].falls_asleep(),
            164..169 => self.give_away(partition),
            169..172 => self.crash(),
            172..176 => self.fault(),
            176..184 => self.operate().await,
            184..185 => self.make_anew(partition),
            _ => self.pass().await,
        }
        self.turns(6).await;
        for process in &mut self.processes {
            process.check().await;
        }
    }

    /// Lets others do something.
    async fn turns(&mut self, most: usize) {
        for _ in 0..self.random.below(most) {
            yield_now().await;
        }
    }

    async fn pass(&mut self) {
        let long = match self.random.below(6) {
            0 => LONG,
            1 => Duration::from_secs(25),
            2 => Duration::from_secs(2),
            _ => Duration::from_millis(60),
        };
        self.ledger.note(format!("pass {long:?}"));
        sleep(long).await;
    }

    fn fault(&mut self) {
        let points = [FailPoint::Refused, FailPoint::Before, FailPoint::After];
        let point = points[self.random.below(points.len())];
        let steps = self.random.below(3);
        self.ledger.note(format!("fault {point:?} after {steps}"));
        self.log.arm_after(steps, point);
    }

    /// Its partitions are free, and all that it had begun is gone.
    fn crash(&mut self) {
        let place = self.random.below(PROCESSES);
        let number = self.processes[place].number;
        self.ledger.note(format!("crash {number}"));
        for partition in &mut self.partitions {
            partition.loses(number);
        }
        self.processes[place] = self.start();
    }

    async fn consume(&mut self, partition: usize) {
        let of = &mut self.partitions[partition];
        let old = of.asleep.len();
        if old > 0 && self.random.percent(30) {
            let mut consumer = of.asleep.swap_remove(self.random.below(old));
            let ready = consumer.ready(&of.source.log);
            if ready.is_empty() {
                return;
            }
            let offset = ready[self.random.below(ready.len())];
            // It only writes: its handler was stopped when it lost the partition.
            if let Todo::Nothing = consumer.step(offset, &of.source.log[offset]).await {
                of.asleep.push(consumer);
            }
            return;
        }
        if of.owner.is_none() {
            self.take_over(partition).await;
            return;
        }
        let Some(consumer) = &mut of.owner else {
            return;
        };
        let ready = consumer.ready(&of.source.log);
        if ready.is_empty() {
            return;
        }
        let offset = ready[self.random.below(ready.len())];
        let record = of.source.log[offset].clone();
        match consumer.step(offset, &record).await {
            Todo::Nothing => {}
            Todo::Handle(offset) => {
                let left = self.handle_first(&record);
                if let Some(consumer) = &mut self.partitions[partition].owner {
                    consumer.handled(offset, left);
                }
            }
            Todo::Leave => self.partitions[partition].owner = None,
        }
    }

    async fn commit(&mut self, partition: usize) {
        let of = &mut self.partitions[partition];
        let Some(consumer) = &mut of.owner else {
            return;
        };
        of.source.committed = consumer.passed();
        consumer.forget(super::source::offset(of.source.committed));
        self.turns(6).await;
    }

    /// Something that waited is dealt with, by whoever may.
    fn deal(&mut self) {
        let deal = {
            let mut deals = self.deals.lock().unwrap();
            deals.retain(|deal| !deal.reply.is_closed());
            if deals.is_empty() {
                return;
            }
            let place = self.random.below(deals.len());
            deals.swap_remove(place)
        };
        let partition = usize::try_from(deal.head.record.origin.partition).unwrap();
        let dealt = if self.partitions[partition].belongs_to(deal.process) {
            self.handle_head(&deal.head)
        } else {
            // It was stopped when the partition was lost.
            Err(NotDealt::Stopped)
        };
        // Whoever asked may be gone.
        deal.reply.send(dealt).ok();
    }
}
