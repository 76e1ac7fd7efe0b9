//! Ordered mode against its promise: random failures, rebalances, crashes before and after every write, leases that
//! end, in thousands of orders. `SEED=n` runs one of them again, `SCHEDULES=n` so many.

mod faulty;
mod memory;
mod postgres;
mod run;

use std::sync::Arc;
use std::time::{Duration, Instant};

use order_model::{Random, seeds};
use ordered_lanes::DeadHead;

pub(crate) use self::faulty::{FailPoint, Faulty};
use self::memory::MemoryLanes;
pub(crate) use self::postgres::OneGroup;
use self::run::{Run, Setting};
use crate::database::Database;

/// What a run sees of a store besides the steps.
pub(crate) trait World {
    /// Everything is due, and every lease is over.
    fn age(&self) -> impl Future<Output = ()> + Send;
    /// Offsets by partition of what is in lanes or was given up, and how it stands.
    fn leftover(&self) -> impl Future<Output = Vec<(i32, i64, &'static str)>> + Send;
    /// Lanes, empty ones too.
    fn lanes(&self) -> impl Future<Output = usize> + Send;
}

fn setting(seed: u64) -> Setting {
    let policies = [DeadHead::Hold, DeadHead::Skip, DeadHead::DeadLetterLane];
    Setting {
        dead_head: policies[usize::try_from(seed % 3).unwrap()],
        poison: seed % 4 == 3,
        steps: 150,
    }
}

#[tokio::test]
async fn keeps_the_order_of_each_key_and_loses_nothing_in_memory() {
    let mut handled = 0;
    for seed in seeds(3000) {
        let store = Arc::new(MemoryLanes::default());
        let run = Run::new(
            Arc::clone(&store),
            store,
            "group".into(),
            Random::new(seed),
            setting(seed),
        );
        handled += run.complete(seed).await;
    }
    println!("{handled} records handled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_order_of_each_key_and_loses_nothing_in_postgresql() {
    const PARALLEL: usize = 8;
    const LEAST: u32 = 12;
    let until = Instant::now() + Duration::from_secs(12);
    let database = Arc::new(Database::create().await);
    database.relax().await;
    let mut running = tokio::task::JoinSet::new();
    let seeds = seeds(400);
    for some in 0..PARALLEL {
        let database = Arc::clone(&database);
        let seeds: Vec<u64> = seeds.iter().copied().skip(some).step_by(PARALLEL).collect();
        running.spawn(async move {
            let lanes = Arc::new(database.lanes().await);
            let client = Arc::new(database.client().await);
            let mut done = 0;
            for seed in seeds {
                // Some in any case; on a machine that has nothing else to do, all.
                if done >= LEAST && Instant::now() > until {
                    break;
                }
                let world = Arc::new(OneGroup::new(Arc::clone(&client)));
                let group = world.group.clone();
                let run = Run::new(
                    Arc::clone(&lanes),
                    world,
                    group,
                    Random::new(seed),
                    setting(seed),
                );
                run.complete(seed).await;
                done += 1;
            }
            done
        });
    }
    let done: u32 = running.join_all().await.into_iter().sum();
    println!("{done} schedules");
}
