//! How fast it is. Not part of the suite: run one by one, in release, on a quiet machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cdc_event::{Attempt, Failure, Handler, Record};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use recovery::{BlockingRetry, Runner};
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Sent, until};
use crate::subject::Subject;

/// That of `cdc-relay`, for librdkafka and so for the bare loop too: a record is allocated by one thread and freed by
/// another, for which others take a lock.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Counts, after a while if there is one.
#[derive(Clone)]
struct Counting {
    count: Arc<AtomicU64>,
    takes: Duration,
    /// How long it took, of all records together: a timer of 10 ms takes 11.
    took_micros: Arc<AtomicU64>,
}

impl Handler for Counting {
    async fn handle(&self, _: &Record, _: Attempt) -> Result<(), Failure> {
        if !self.takes.is_zero() {
            let started = Instant::now();
            tokio::time::sleep(self.takes).await;
            let took = u64::try_from(started.elapsed().as_micros()).unwrap();
            self.took_micros.fetch_add(took, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// What an event may look like: some 500 bytes, which compress to a third.
fn order(number: usize) -> String {
    let (customer, note) = (number % 9973, number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    format!(
        r#"{{"order":"{number:010}","customer":"C{customer:04}","currency":"EUR","total":129.50,
        "deliver_to":{{"name":"Ada Example","street":"{customer:04} Station Road","postcode":"{number:010}"}},
        "lines":[{{"article":"A-{number:010}","count":2,"price":19.75,"text":"Kettle, black"}},
                 {{"article":"B-{customer:04}","count":1,"price":60.00,"text":"Lamp, copper"}},
                 {{"article":"C-{note:016x}","count":3,"price":10.00,"text":"Cup, large"}}],
        "note":"{note:016x}"}}"#
    )
}

async fn fill(subject: &Subject, records: usize) {
    let record = |number: usize| {
        let key = format!("key-{}", number % 10_000);
        Sent::new((number % 6) as i32, &key, order(number))
    };
    for chunk in 0..records / 10_000 {
        let records: Vec<_> = (0..10_000)
            .map(|number| record(chunk * 10_000 + number))
            .collect();
        subject.send(&records).await;
    }
}

impl Counting {
    fn new(takes: Duration) -> Self {
        Self {
            count: Arc::default(),
            takes,
            took_micros: Arc::default(),
        }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The mean.
    fn took(&self) -> Duration {
        Duration::from_micros(self.took_micros.load(Ordering::Relaxed) / self.count())
    }
}

/// Records a second, from the first to the last.
async fn rate_of_runner(subject: &mut Subject, records: u64, handler: &Counting) -> f64 {
    subject.settings.group = cluster::unique_name("rate");
    let (options, settings) = (cluster::options(), subject.settings.clone());
    let runner = Runner::new(options, settings, handler.clone()).unwrap();
    let stop = CancellationToken::new();
    let measured = async {
        until("the first", || handler.count() > 0).await;
        let (started, before) = (Instant::now(), handler.count());
        until("the last", || handler.count() == records).await;
        stop.cancel();
        (records - before) as f64 / started.elapsed().as_secs_f64()
    };
    let (ended, rate) = tokio::join!(runner.run(stop.clone()), measured);
    ended.unwrap();
    rate
}

/// The same of a loop around librdkafka's consumer that only counts.
fn rate_of_loop(topic: &str, records: u64) -> f64 {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &cluster::options().brokers)
        .set("group.id", cluster::unique_name("bare"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        // Its default would have it wait for most of the time.
        .set("fetch.queue.backoff.ms", "2")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let (mut started, mut count) = (None, 0);
    while count < records {
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            message.unwrap();
            started.get_or_insert_with(Instant::now);
            count += 1;
        }
    }
    (records - 1) as f64 / started.unwrap().elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_handler_that_does_nothing_is_nearly_as_fast_as_a_loop_that_only_reads() {
    const RECORDS: usize = 1_000_000;
    let mut subject = Subject::new("rate", 6, BlockingRetry::None, &[]).await;
    fill(&subject, RECORDS).await;
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let bare = tokio::task::block_in_place(|| rate_of_loop(&subject.topic, RECORDS as u64));
        let handler = Counting::new(Duration::ZERO);
        let ours = rate_of_runner(&mut subject, RECORDS as u64, &handler).await;
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
    const CONCURRENCY: f64 = 64.0;
    let mut subject = Subject::new("busy", 6, BlockingRetry::None, &[]).await;
    assert_eq!(subject.settings.concurrency.get() as f64, CONCURRENCY);
    fill(&subject, RECORDS).await;
    let handler = Counting::new(Duration::from_millis(10));
    let rate = rate_of_runner(&mut subject, RECORDS as u64, &handler).await;
    let possible = CONCURRENCY / handler.took().as_secs_f64();
    println!(
        "{rate:.0}/s; handlers that take {:?} make {possible:.0}/s possible: {:.2}",
        handler.took(),
        rate / possible
    );
    assert!(rate >= 0.9 * possible, "{rate} of {possible}");
}
