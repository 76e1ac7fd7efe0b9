//! How fast it is. Not part of the suite: run one by one, in release, on a quiet machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cdc_event::{Attempt, Failure, Handler, Record};
use cdc_kafka::{ConsumerEvent, ConsumerSettings, GroupConsumer};
use recovery::{BlockingRetry, Runner};
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Sent, until};
use crate::subject::Subject;

/// Counts, after a while if there is one.
struct Counting {
    count: Arc<AtomicU64>,
    takes: Duration,
}

impl Handler for Counting {
    async fn handle(&self, _: &Record, _: Attempt) -> Result<(), Failure> {
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

async fn fill(subject: &Subject, records: usize) {
    let value = "x".repeat(500);
    let record = |number: usize| {
        Sent::new(
            (number % 6) as i32,
            &format!("key-{}", number % 10_000),
            &value,
        )
    };
    for chunk in 0..records / 10_000 {
        let records: Vec<_> = (0..10_000)
            .map(|number| record(chunk * 10_000 + number))
            .collect();
        subject.send(&records).await;
    }
}

/// Records a second, from the first to the last.
async fn rate_of_runner(subject: &mut Subject, records: u64, takes: Duration) -> f64 {
    subject.settings.group = cluster::unique_name("rate");
    let count = Arc::new(AtomicU64::new(0));
    let handler = Counting {
        count: Arc::clone(&count),
        takes,
    };
    let runner = Runner::new(cluster::options(), subject.settings.clone(), handler).unwrap();
    let stop = CancellationToken::new();
    let measured = async {
        until("the first", || count.load(Ordering::Relaxed) > 0).await;
        let (started, before) = (Instant::now(), count.load(Ordering::Relaxed));
        until("the last", || count.load(Ordering::Relaxed) == records).await;
        stop.cancel();
        (records - before) as f64 / started.elapsed().as_secs_f64()
    };
    let (ended, rate) = tokio::join!(runner.run(stop.clone()), measured);
    ended.unwrap();
    rate
}

/// The same of a loop that only reads.
async fn rate_of_loop(subject: &Subject, records: u64) -> f64 {
    let settings = ConsumerSettings::new(cluster::unique_name("bare"), vec![subject.topic.clone()]);
    let mut consumer = GroupConsumer::start(&cluster::options(), &settings).unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    let ConsumerEvent::Assigned(readers) = consumer.event().await else {
        panic!("not assigned")
    };
    for mut reader in readers {
        let count = Arc::clone(&count);
        tasks.spawn(async move {
            let mut batch = Vec::new();
            loop {
                let taken = reader.take(256, usize::MAX, &mut batch).await;
                count.fetch_add(taken as u64, Ordering::Relaxed);
                if let Some(last) = batch.last() {
                    reader.store(last.offset.next());
                }
                batch.clear();
            }
        });
    }
    until("the first", || count.load(Ordering::Relaxed) > 0).await;
    let (started, before) = (Instant::now(), count.load(Ordering::Relaxed));
    until("the last", || count.load(Ordering::Relaxed) == records).await;
    let rate = (records - before) as f64 / started.elapsed().as_secs_f64();
    tasks.abort_all();
    consumer.close(Duration::from_secs(10)).await.unwrap();
    rate
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_handler_that_does_nothing_is_nearly_as_fast_as_a_loop_that_only_reads() {
    const RECORDS: usize = 1_000_000;
    let mut subject = Subject::new("rate", 6, BlockingRetry::None, &[]).await;
    fill(&subject, RECORDS).await;
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let bare = rate_of_loop(&subject, RECORDS as u64).await;
        let ours = rate_of_runner(&mut subject, RECORDS as u64, Duration::ZERO).await;
        println!("bare {bare:.0}/s, runner {ours:.0}/s: {:.2}", ours / bare);
        ratios.push(ours / bare);
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[1] >= 0.8, "{ratios:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn slow_handlers_are_kept_busy() {
    const RECORDS: usize = 40_000;
    let mut subject = Subject::new("busy", 6, BlockingRetry::None, &[]).await;
    fill(&subject, RECORDS).await;
    let rate = rate_of_runner(&mut subject, RECORDS as u64, Duration::from_millis(10)).await;
    println!("{rate:.0}/s of 6400/s");
    assert!(rate >= 0.9 * 6400.0, "{rate}");
}
