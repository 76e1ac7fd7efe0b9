//! One endpoint's trouble is not another's.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use notifier::{Notifier, Settings};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::receiver::Behaviour;
use crate::stage::{Stage, handle, record, settings};

const ENDPOINTS: usize = 1000;
const HANGING: usize = 10;

/// Fifty requests a second would wait for a second and a half each: more than twice as many as there are places for.
const PLACES: usize = 32;

/// An endpoint for each author.
async fn authors(stage: &Stage) {
    let url = stage.receiver.url("");
    stage
        .database
        .execute(&format!(
            "INSERT INTO cdc.endpoint (id, url) SELECT 'e' || n, '{url}e' || n FROM generate_series(0, {ENDPOINTS} - 1) AS n;
             INSERT INTO cdc.subscription SELECT id, id FROM cdc.endpoint;"
        ))
        .await;
}

/// Sends events at a steady rate, every tenth to one of those that hang, from a consumer with a limited number of
/// records in flight. Gives the times from an event to the end of its record, of the healthy ones, in order.
async fn latencies(notifier: &Arc<Notifier>, run: &str, events: usize) -> Vec<Duration> {
    let places = Arc::new(Semaphore::new(PLACES));
    let mut pace = interval(Duration::from_millis(2));
    let mut running = JoinSet::new();
    for event in 0..events {
        pace.tick().await;
        let (notifier, started) = (Arc::clone(notifier), Instant::now());
        let hanging = event % 10 == 0;
        let author = if hanging {
            event / 10 % HANGING
        } else {
            HANGING + event % (ENDPOINTS - HANGING)
        };
        let mut record = record(&format!("{run}-{event}"));
        record.key = Some(format!("e{author}").into_bytes());
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        running.spawn(async move {
            let done = handle(&notifier, &record).await;
            drop(place);
            assert!(done.is_ok() || hanging, "{done:?}");
            (!hanging).then(|| started.elapsed())
        });
    }
    let mut times: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    times.sort();
    times
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() - 1) * percent / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_hang_cost_the_others_nothing() {
    let stage = Stage::new().await;
    authors(&stage).await;
    let settings = Settings {
        concurrency: NonZeroUsize::new(PLACES).unwrap(),
        cache_expiry: Duration::from_secs(60),
        ..settings()
    };
    let notifier = Arc::new(stage.notifier_with(settings).await);
    latencies(&notifier, "warm", ENDPOINTS).await;
    let without = latencies(&notifier, "without", ENDPOINTS).await;
    for author in 0..HANGING {
        stage.receiver.set(&format!("e{author}"), Behaviour::Hang);
    }
    let with = latencies(&notifier, "with", ENDPOINTS).await;
    let (p99, p99_without) = (percentile(&with, 99), percentile(&without, 99));
    println!(
        "p50 {:?} and {:?}, p99 {p99:?} and {p99_without:?} without",
        percentile(&with, 50),
        percentile(&without, 50)
    );
    assert_eq!(with.len(), without.len(), "some got nothing");
    // Far below the quarter of a second that a record waits for one that hangs, whatever else this machine does.
    assert!(
        p99 < p99_without * 2 + Duration::from_millis(50),
        "{p99:?} and {p99_without:?} without"
    );
}

#[tokio::test]
async fn never_more_requests_at_once_than_the_endpoint_can_bear() {
    let stage = Stage::new().await;
    stage.endpoint_with("a", "max_concurrency = 3").await;
    let time = Duration::from_millis(50);
    stage.receiver.set("a", Behaviour::AnswerAfter(time, 200));
    let notifier = Arc::new(
        stage
            .notifier_with(Settings {
                patience: Duration::from_secs(10),
                ..settings()
            })
            .await,
    );
    let mut running = JoinSet::new();
    for event in 0..30 {
        let notifier = Arc::clone(&notifier);
        running.spawn(async move {
            handle(&notifier, &record(&event.to_string()))
                .await
                .unwrap();
        });
    }
    running.join_all().await;
    let posts = stage.receiver.posts();
    assert_eq!(posts.len(), 30);
    for post in &posts {
        let overlapping = posts
            .iter()
            .filter(|other| other.at <= post.at && post.at - other.at < time)
            .count();
        assert!(overlapping <= 3, "{overlapping} at once");
    }
}

#[tokio::test]
async fn never_more_requests_a_second_than_the_endpoint_can_bear() {
    let stage = Stage::new().await;
    stage
        .endpoint_with("a", "rate_per_second = 10, max_concurrency = 50")
        .await;
    let notifier = Arc::new(
        stage
            .notifier_with(Settings {
                patience: Duration::from_secs(10),
                ..settings()
            })
            .await,
    );
    let started = Instant::now();
    let mut running = JoinSet::new();
    for event in 0..20 {
        let notifier = Arc::clone(&notifier);
        running.spawn(async move {
            handle(&notifier, &record(&event.to_string()))
                .await
                .unwrap();
        });
    }
    running.join_all().await;
    assert_eq!(stage.receiver.posts().len(), 20);
    // Ten are saved up, ten take a second.
    assert!(
        started.elapsed() >= Duration::from_millis(950),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn an_ordered_endpoint_hears_the_events_of_a_key_in_their_order_however_slow_it_is() {
    let stage = Stage::new().await;
    stage.endpoint_with("a", "ordered = true").await;
    stage
        .receiver
        .set("a", Behaviour::AnswerAfter(Duration::from_millis(700), 200));
    let notifier = stage.notifier().await;
    for event in ["1", "2"] {
        handle(&notifier, &record(event)).await.unwrap();
    }
    assert_eq!(stage.receiver.ids("a"), ["1", "2"]);
    let posts = stage.receiver.posts();
    assert!(posts[1].at - posts[0].at >= Duration::from_millis(700));
}
