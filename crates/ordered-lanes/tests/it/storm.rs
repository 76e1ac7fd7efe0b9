//! Everything at the same time, on real time: consumers that come and go, workers that are killed, a handler that
//! fails often.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdc_event::{Admission, Attempt, ErrorCode, Failure, Handler, HandlerError, Record};
use order_model::Random;
use ordered_lanes::{
    DeadHead, Disposition, Error, LaneGuard, LaneWorker, PostgresLanes, Remainder, WorkerSettings,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::records::{GROUP, HOLD, assignment, record};
use crate::standalone::{Retries, Standalone};

const RECORDS: i64 = 250;
const KEYS: usize = 6;
const PARTITIONS: i32 = 2;

struct Flaky {
    random: Mutex<Random>,
    /// Key and offset, as they succeeded.
    effects: Mutex<Vec<(Vec<u8>, i64)>>,
}

impl Handler for Flaky {
    async fn handle(&self, record: &Record, _: Attempt) -> Result<(), Failure> {
        let (pause, fails) = {
            let mut random = self.random.lock().unwrap();
            (random.below(3), random.percent(25))
        };
        sleep(Duration::from_millis(pause as u64)).await;
        if fails {
            let error = HandlerError::new(ErrorCode::from_static("no-luck"), "it did not work");
            return Err(Failure::transient(error));
        }
        let key = record.key.clone().unwrap_or_default();
        self.effects
            .lock()
            .unwrap()
            .push((key, record.origin.offset));
        Ok(())
    }
}

const RETRIES: Retries = Retries {
    attempts: None,
    pause: Duration::from_millis(3),
};

fn key(partition: i32, offset: i64) -> String {
    let spread = usize::try_from(offset * 7919 % 101).unwrap() % KEYS;
    format!("{partition}-{spread}")
}

/// Consumes a partition to its end, as ever new owners: each ends after some records, with its offset committed or
/// not, and the one before it tries to go on writing.
async fn consume(
    lanes: Arc<PostgresLanes>,
    handler: Arc<Flaky>,
    partition: i32,
    mut random: Random,
) {
    let mut committed = 0;
    let mut old: Option<LaneGuard<PostgresLanes>> = None;
    while committed < RECORDS {
        let guard = LaneGuard::take_over(
            Arc::clone(&lanes),
            assignment(partition),
            Some(committed),
            HOLD,
        )
        .await
        .unwrap();
        let until = RECORDS.min(committed + 1 + i64::try_from(random.below(30)).unwrap());
        for offset in committed..until {
            let record = record(partition, offset, Some(&key(partition, offset)));
            if guard.admit(&record).await.unwrap() == Admission::Process
                && let Err(failure) = handler.handle(&record, Attempt::FIRST).await
            {
                let left = RETRIES.left(failure, None, Attempt::FIRST).unwrap();
                let left: Vec<_> = left.iter().map(Remainder::of).collect();
                if let Some(old) = &old {
                    let refused = old.park(&record, &left).await.unwrap_err();
                    assert_eq!(
                        refused.disposition(),
                        Disposition::Superseded,
                        "{refused:?}"
                    );
                    assert!(matches!(refused, Error::Fenced(_)));
                }
                guard.park(&record, &left).await.unwrap();
            }
        }
        if random.percent(70) || until == RECORDS {
            committed = until;
            guard.forget(committed).await.unwrap();
        }
        old = Some(guard);
    }
}

/// A worker that is killed every now and then.
async fn work(
    database: Arc<Database>,
    handler: Arc<Flaky>,
    mut random: Random,
    stop: CancellationToken,
) {
    let lanes = Arc::new(database.lanes().await);
    while !stop.is_cancelled() {
        let settings = WorkerSettings {
            group: GROUP.into(),
            concurrency: NonZeroUsize::new(3).unwrap(),
            lease: Duration::from_millis(500),
            poll: Duration::from_millis(5),
            turn: Duration::from_millis(50),
            dead_head: DeadHead::Hold,
            drain: Duration::from_secs(5),
        };
        let heads = Standalone {
            handler: Arc::clone(&handler),
            retries: RETRIES,
        };
        let worker = LaneWorker::new(Arc::clone(&lanes), Arc::new(heads), settings);
        let life = Duration::from_millis(100 + random.below(400) as u64);
        if let Ok(ended) = timeout(life, worker.run(&stop)).await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_order_of_each_key_with_everything_at_once() {
    let seed = std::env::var("SEED").map_or(20, |seed| seed.parse().unwrap());
    let database = Arc::new(Database::create().await);
    database.relax().await;
    let effects = Mutex::new(Vec::new());
    let handler = Arc::new(Flaky {
        random: Mutex::new(Random::new(seed)),
        effects,
    });
    let (mut consumers, mut workers) = (JoinSet::new(), JoinSet::new());
    let stop = CancellationToken::new();
    for partition in 0..PARTITIONS {
        let lanes = Arc::new(database.lanes().await);
        let random = Random::new(seed + 1 + u64::from(partition.unsigned_abs()));
        consumers.spawn(consume(lanes, Arc::clone(&handler), partition, random));
    }
    for worker in 0..3 {
        workers.spawn(work(
            Arc::clone(&database),
            Arc::clone(&handler),
            Random::new(seed + 10 + worker),
            stop.clone(),
        ));
    }
    consumers.join_all().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while database
        .text("SELECT count(*) FROM cdc.lane_event")
        .await
        .as_deref()
        != Some("0")
    {
        assert!(Instant::now() < deadline, "seed {seed}: lanes are left");
        sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    workers.join_all().await;

    let mut keys: BTreeMap<Vec<u8>, Vec<i64>> = BTreeMap::new();
    for (key, offset) in handler.effects.lock().unwrap().iter() {
        keys.entry(key.clone()).or_default().push(*offset);
    }
    let mut handled = 0;
    for (key, offsets) in &keys {
        let first = distinct(offsets.iter().copied());
        let mut last = distinct(offsets.iter().rev().copied());
        last.reverse();
        assert!(first.is_sorted(), "seed {seed}, {key:?}: {offsets:?}");
        assert!(last.is_sorted(), "seed {seed}, {key:?}: {offsets:?}");
        handled += first.len();
    }
    assert_eq!(
        i64::try_from(handled).unwrap(),
        RECORDS * i64::from(PARTITIONS),
        "seed {seed}: records are lost"
    );
}

fn distinct(offsets: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut seen = HashSet::new();
    offsets.filter(|offset| seen.insert(*offset)).collect()
}
