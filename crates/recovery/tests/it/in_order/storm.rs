//! The whole against its promise: random failures, members that come, stop and crash, steps of the store that fail before
//! or after they are done. `ORDER_SEED=n` runs one schedule again, `ORDER_SECONDS=n` runs more of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cdc_event::{Attempt, Failure, Handler, Record, random_number};
use ordered_lanes::DeadHead;
use recovery::{Error, Runner, Settings};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::faulty::{FailPoint, Fuse};
use super::kept::{Backend, Kept, redirect_of};
use crate::cluster::{self, Sent, until};
use crate::subject::{FAILED, Subject, error, fixed, millis, text};

const PARTITIONS: i32 = 2;
const RECORDS: usize = 60;
const KEYS: usize = 5;
/// Schedules at the same time.
const PARALLEL: u64 = 4;

/// Numbers that a seed repeats.
struct Random(Mutex<u64>);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Mutex::new(seed.wrapping_mul(2).wrapping_add(1)))
    }

    fn below(&self, limit: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 11) % limit
    }
}

/// Fails often, until it is well.
struct Flaky {
    random: Random,
    is_well: Mutex<bool>,
    /// Key and number, as they succeeded; a record of which parts fail succeeds with the last of them.
    effects: Mutex<Vec<(String, usize)>>,
    parts: Mutex<BTreeMap<usize, BTreeSet<String>>>,
}

impl Flaky {
    fn succeed(&self, record: &Record) {
        let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
        let number = text(record).parse().unwrap();
        self.effects.lock().unwrap().push((key, number));
    }

    fn distinct(&self) -> usize {
        let effects = self.effects.lock().unwrap();
        effects.iter().collect::<BTreeSet<_>>().len()
    }
}

impl Handler for Flaky {
    async fn handle(&self, record: &Record, _: Attempt) -> Result<(), Failure> {
        tokio::time::sleep(millis(self.random.below(4))).await;
        let luck = self.random.below(100);
        let is_well = *self.is_well.lock().unwrap();
        let number: usize = text(record).parse().unwrap();
        match &record.part {
            _ if !is_well && luck < 25 => return Err(Failure::transient(error(FAILED))),
            None if !is_well && luck < 35 => {
                let parts = ["x", "y"];
                let left = parts.iter().map(ToString::to_string).collect();
                self.parts.lock().unwrap().insert(number, left);
                return Err(crate::parts::failed(&parts));
            }
            None => self.succeed(record),
            Some(part) => {
                let mut parts = self.parts.lock().unwrap();
                let left = parts.entry(number).or_default();
                left.remove(part.as_str());
                let is_last = left.is_empty();
                drop(parts);
                if is_last {
                    self.succeed(record);
                }
            }
        }
        Ok(())
    }
}

/// Members that run, each with a way to end it.
#[derive(Default)]
struct Members {
    stops: Vec<CancellationToken>,
    tasks: JoinSet<Result<(), Error>>,
}

impl Members {
    /// Another process, as far as anybody can see.
    async fn start(
        &mut self,
        settings: &Settings,
        kept: &Kept,
        fuse: &Arc<Fuse>,
        handler: &Arc<Flaky>,
    ) {
        let settings = Settings {
            ordering: kept.faulty(fuse).await,
            ..settings.clone()
        };
        let runner = Runner::new(cluster::options(), settings, Arc::clone(handler));
        let stop = CancellationToken::new();
        let running = runner.unwrap().run(stop.clone());
        #[expect(clippy::print_stderr, reason = "nobody looks at it before the end")]
        self.tasks.spawn(async move {
            let ended = running.await;
            ended.inspect_err(|error| eprintln!("a member ended: {error:?}"))
        });
        self.stops.push(stop);
    }

    async fn stop(mut self) {
        self.stops.iter().for_each(CancellationToken::cancel);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    async fn crash(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn schedule(kept: Arc<Kept>, seed: u64) {
    let random = Random::new(seed);
    let store: Arc<Fuse> = Arc::default();
    let mut subject = Subject::new("storm", PARTITIONS, fixed(2, 1), &[millis(5); 32]).await;
    subject.owns(redirect_of(&subject));
    let handler = Arc::new(Flaky {
        random: Random::new(seed + 1),
        is_well: Mutex::new(false),
        effects: Mutex::default(),
        parts: Mutex::default(),
    });
    let records: Vec<_> = (0..RECORDS)
        .map(|number| {
            let key = random.below(KEYS as u64);
            let partition = i32::try_from(key).unwrap() % PARTITIONS;
            Sent::new(partition, &format!("k{key}"), number)
        })
        .collect();
    subject.send(&records).await;
    for _ in 0..2 {
        let mut members = Members::default();
        members
            .start(&subject.settings, &kept, &store, &handler)
            .await;
        let second = random.below(2) == 0;
        for _ in 0..1 + random.below(6) {
            let wanted = handler.effects.lock().unwrap().len() + 1;
            let what = format!("another effect, ORDER_SEED={seed}");
            let progress = until(&what, || {
                handler.effects.lock().unwrap().len() >= wanted || handler.distinct() == RECORDS
            });
            progress.await;
            let point = [FailPoint::Before, FailPoint::After];
            store.arm(Some(point[usize::try_from(random.below(2)).unwrap()]));
            if second && members.stops.len() == 1 {
                members
                    .start(&subject.settings, &kept, &store, &handler)
                    .await;
            }
        }
        if random.below(3) == 0 {
            members.stop().await;
        } else {
            members.crash().await;
        }
    }
    store.arm(None);
    *handler.is_well.lock().unwrap() = true;
    let mut members = Members::default();
    members
        .start(&subject.settings, &kept, &store, &handler)
        .await;
    until(&format!("all, ORDER_SEED={seed}"), || {
        handler.distinct() == RECORDS
    })
    .await;
    // What a crash left uncommitted is done again to its end: a stop in the middle would look like a record done twice alone.
    kept.until_empty(&subject).await;
    subject.until_committed(RECORDS).await;
    members.stop().await;
    check(&handler, seed);
}

/// What was done twice was done before any later record of its key, or together with all later ones.
fn check(handler: &Flaky, seed: u64) {
    let effects = handler.effects.lock().unwrap();
    let keys: BTreeSet<&String> = effects.iter().map(|(key, _)| key).collect();
    for key in keys {
        let of_key = || {
            let of_key = effects.iter().filter(move |(of, _)| of == key);
            of_key.map(|(_, number)| *number)
        };
        let first = distinct(of_key());
        let mut last = distinct(of_key().rev());
        last.reverse();
        let all: Vec<_> = of_key().collect();
        assert!(first.is_sorted(), "ORDER_SEED={seed} {key}: {all:?}");
        assert!(last.is_sorted(), "ORDER_SEED={seed} {key}: {all:?}");
    }
}

fn distinct(numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    numbers.filter(|number| seen.insert(*number)).collect()
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[expect(clippy::print_stdout, reason = "of a test")]
pub(super) async fn keeps_the_order_of_each_key_and_loses_nothing_whatever_fails(backend: Backend) {
    let kept = Arc::new(Kept::new(backend, DeadHead::Hold).await);
    if let Some(seed) = variable("ORDER_SEED") {
        schedule(kept, seed).await;
        return;
    }
    let first = random_number() >> 16;
    let limit = Duration::from_secs(variable("ORDER_SECONDS").unwrap_or(10));
    let started = Instant::now();
    let mut running = JoinSet::new();
    for lane in 0..PARALLEL {
        let kept = Arc::clone(&kept);
        running.spawn(async move {
            let mut done = 0;
            while done == 0 || started.elapsed() < limit {
                schedule(Arc::clone(&kept), first + lane * 1_000_000 + done).await;
                done += 1;
            }
            done
        });
    }
    let done: u64 = running.join_all().await.into_iter().sum();
    println!("{done} schedules from ORDER_SEED={first}");
}
