//! Order in a redirect topic against its promise: failures, partitions that move, owners that sleep and crash, answers
//! that get lost, compaction, operators, in thousands of orders. `SEED=n` runs one of them again, `SCHEDULES=n` so many.

mod ledger;
mod log;
mod run;
mod source;
mod waiting;

use std::sync::Arc;
use std::thread;

use cdc_event::DeadHead;
use order_model::seeds;

pub(crate) use self::log::MemoryLog;
use self::run::{Run, Setting};
pub(crate) use self::source::{GROUP, Source, entry, id};
pub(crate) use self::waiting::Said;

const SCHEDULES: u64 = 2000;
const THREADS: usize = 2;

/// All kinds come up soon, whatever the first seed is.
const fn setting(seed: u64) -> Setting {
    let dead_head = match seed % 3 {
        0 => DeadHead::Hold,
        1 => DeadHead::Skip,
        _ => DeadHead::DeadLetterLane,
    };
    let poison = seed.is_multiple_of(2);
    Setting {
        dead_head,
        poison,
        // Of what is given up nothing is left, or it goes on waiting.
        is_cleared: seed % 7 < 5,
        is_made_anew: !poison && seed.is_multiple_of(5),
        // Payloads: all in memory, some of them, none.
        memory: match seed / 6 % 3 {
            0 => 64 * 1024 * 1024,
            1 => 1000,
            _ => 0,
        },
        is_tight: !poison && seed % 5 == 1,
        is_shared: (seed / 18).is_multiple_of(2),
        steps: 200,
    }
}

#[test]
fn keeps_the_order_of_each_key_and_loses_nothing() {
    let seeds = Arc::new(seeds(SCHEDULES));
    let run = |some: usize| {
        let seeds = Arc::clone(&seeds);
        let name = format!("schedules {some}");
        let run = move || {
            let own = seeds.iter().skip(some).step_by(THREADS);
            own.map(|seed| Run::complete(*seed, setting(*seed))).sum()
        };
        thread::Builder::new().name(name).spawn(run).unwrap()
    };
    let running: Vec<thread::JoinHandle<usize>> = (0..THREADS).map(run).collect();
    let handled: usize = running.into_iter().map(|run| run.join().unwrap()).sum();
    println!("{} schedules, {handled} records handled", seeds.len());
}
