//! What endpoints that hang cost the others, with everything as it is set by default.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use cdc_event::{Attempt, Handler};
use notifier::{NoAlerts, Notifier, SecretKeys, Settings};
use pg_replication::ConnectOptions;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::{GIVEN, client, execute, record, with_database};

const ENDPOINTS: usize = 1000;
/// One in a hundred of them; every tenth event is theirs.
const OTHERS: usize = 10;

/// Far below what can be sent, so that no time is spent in a queue behind the event before.
const BETWEEN_EVENTS: Duration = Duration::from_millis(2);
const EVENTS: usize = 500;

/// What the machine does besides meets both sides alike if they take turns so often.
const ROUNDS: usize = 40;

/// A notifier, and the records that its consumer has in flight.
struct Side {
    notifier: Arc<Notifier>,
    /// Who gets every tenth event: "answer" or "hang".
    others: &'static str,
    places: Arc<Semaphore>,
    running: JoinSet<()>,
    turns: usize,
}

impl Side {
    async fn new(options: &ConnectOptions, others: &'static str) -> Self {
        let notifier = Notifier::start(
            options,
            client(),
            SecretKeys::default(),
            Arc::new(NoAlerts),
            Settings::default(),
        );
        Self {
            notifier: Arc::new(notifier.await.unwrap()),
            others,
            places: Arc::new(Semaphore::new(GIVEN)),
            running: JoinSet::new(),
            turns: 0,
        }
    }

    /// Sends events at a steady rate. Gives how long each of a healthy endpoint took from when it was due until it was
    /// written down that it has arrived.
    async fn turn(&mut self) -> Vec<Duration> {
        self.turns += 1;
        let mut pace = interval(BETWEEN_EVENTS);
        let mut healthy = JoinSet::new();
        for event in 0..EVENTS {
            let due = pace.tick().await;
            let others = event % 10 == 0;
            let author = if others {
                format!("{}-{}", self.others, event / 10 % OTHERS)
            } else {
                format!(
                    "well-{}",
                    (self.turns * EVENTS + event) % (ENDPOINTS - OTHERS)
                )
            };
            let record = record(format!("{}-{}-{event}", self.others, self.turns), &author);
            let place = Arc::clone(&self.places).acquire_owned().await.unwrap();
            let notifier = Arc::clone(&self.notifier);
            let handled = async move {
                let result = notifier.handle(&record, Attempt::FIRST).await;
                drop(place);
                (result, due.elapsed())
            };
            if others {
                self.running.spawn(async move { drop(handled.await) });
                while self.running.try_join_next().is_some() {}
            } else {
                healthy.spawn(async move {
                    let (result, took) = handled.await;
                    result.unwrap();
                    took
                });
            }
        }
        healthy.join_all().await
    }
}

/// Answers, but not below `/hang`. Gives how many requests hang, too.
async fn receiver(tasks: &mut JoinSet<()>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hanging = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&hanging);
    let hang = async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    let router = Router::new()
        .route("/hang/{endpoint}", any(hang))
        .fallback(async || ());
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, hanging)
}

async fn add(options: &ConnectOptions, url: &str, kind: &str, number: usize) {
    let sql = format!(
        "INSERT INTO cdc.endpoint (id, url)
         SELECT '{kind}-' || n, '{url}/{kind}/' || n FROM generate_series(0, {number} - 1) AS n;
         INSERT INTO cdc.subscription SELECT id, id FROM cdc.endpoint WHERE starts_with(id, '{kind}-')"
    );
    execute(options, &sql).await;
}

fn percentile(times: &mut [Duration], percent: f64) -> f64 {
    times.sort_unstable();
    let place = (times.len() - 1) as f64 * percent / 100.0;
    times[place as usize].as_secs_f64() * 1e3
}

/// The p99 of a turn to that of the other side's turn beside it.
fn median_ratio(with: &[Vec<Duration>], without: &[Vec<Duration>]) -> f64 {
    let p99 = |times: &Vec<Duration>| percentile(&mut times.clone(), 99.0);
    let turns = with.iter().zip(without);
    let mut ratios: Vec<_> = turns
        .map(|(with, without)| p99(with) / p99(without))
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// What holds is the median over the turns: a disk that stalls for a moment decides the p99 of all times together, whichever
/// side has its turn then. That one is printed.
///
/// The two sides take turns, each with a notifier of its own: what hangs goes on hanging while the other has its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: needs an idle machine, and a release build"]
async fn one_in_a_hundred_that_hangs_costs_the_others_no_tenth() {
    with_database("isolation", async |options| {
        let mut tasks = JoinSet::new();
        let (url, hanging) = receiver(&mut tasks).await;
        for (kind, number) in [
            ("well", ENDPOINTS - OTHERS),
            ("answer", OTHERS),
            ("hang", OTHERS),
        ] {
            add(&options, &url, kind, number).await;
        }
        let mut without = Side::new(&options, "answer").await;
        let mut with = Side::new(&options, "hang").await;
        // Everybody is met once before it counts.
        for _ in 0..2 * ENDPOINTS / EVENTS {
            without.turn().await;
            with.turn().await;
        }
        let (mut all_without, mut all_with) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            if round % 2 == 0 {
                all_without.push(without.turn().await);
                all_with.push(with.turn().await);
            } else {
                all_with.push(with.turn().await);
                all_without.push(without.turn().await);
            }
        }
        let ratio = median_ratio(&all_with, &all_without);
        println!("p99 of a turn, median of the ratios: {ratio:.3}");
        let (mut all_without, mut all_with) = (all_without.concat(), all_with.concat());
        for percent in [50.0, 90.0, 95.0, 99.0, 99.9] {
            let (without, with) = (
                percentile(&mut all_without, percent),
                percentile(&mut all_with, percent),
            );
            println!(
                "p{percent}: {with:.2} ms with, {without:.2} ms without, ratio {:.3}",
                with / without
            );
        }
        assert!(
            hanging.load(Ordering::Relaxed) >= OTHERS,
            "not all of them hang"
        );
        assert!(ratio <= 1.1, "{ratio:.3}");
    })
    .await;
}
