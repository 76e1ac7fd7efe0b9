//! What it costs. In a process of its own, as memory is measured; the receiver remembers nothing.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod isolation;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use cdc_event::{Attempt, Handler, Headers, KafkaPosition, Record};
use notifier::{NoAlerts, Notifier, SecretKeys, Settings};
use pg_replication::{ConnectOptions, connect_client};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use webhook::{
    Class, Client, ExtraHeaders, Format, Guard, GuardSettings, Message, Request, WebhookId,
};

/// That of the product, since a part of a request's cost is memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const MIGRATIONS: [&str; 8] = [
    include_str!("../../../../sql/V7__notifier.sql"),
    include_str!("../../../../sql/V9__attempts.sql"),
    include_str!("../../../../sql/V10__attempts_by_time.sql"),
    include_str!("../../../../sql/V11__endpoint_breaker.sql"),
    include_str!("../../../../sql/V12__cheaper_deliveries.sql"),
    include_str!("../../../../sql/V15__untold_deliveries.sql"),
    include_str!("../../../../sql/V16__endpoint_news.sql"),
    include_str!("../../../../sql/V17__arrivals.sql"),
];
const ENDPOINTS: usize = 10_000;
const IN_FLIGHT: usize = 256;

/// Records that the notifier is given at a time, as by its consumer of one partition: while some are sent, others are
/// claimed and written down.
const GIVEN: usize = 1024;

fn shared() -> ConnectOptions {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.services/env");
    let from_file = || {
        let text = std::fs::read_to_string(file).ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix("DATABASE_URL=").map(str::to_owned))
    };
    let url = std::env::var("DATABASE_URL").ok().or_else(from_file);
    ConnectOptions::parse(&url.expect("no DATABASE_URL: run `make services-up`")).unwrap()
}

async fn execute(options: &ConnectOptions, sql: &str) {
    connect_client(options)
        .await
        .unwrap()
        .batch_execute(sql)
        .await
        .unwrap();
}

/// Runs a test with a database of its own.
async fn with_database<F: Future<Output = ()>>(name: &str, test: impl FnOnce(ConnectOptions) -> F) {
    let name = format!("notifier_{name}_{}", std::process::id());
    execute(&shared(), &format!("CREATE DATABASE {name}")).await;
    let options = shared().with_database(&name);
    execute(&options, "CREATE SCHEMA cdc").await;
    for migration in MIGRATIONS {
        execute(&options, migration).await;
    }
    test(options).await;
    execute(&shared(), &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

async fn count(State(posts): State<Arc<AtomicUsize>>) {
    posts.fetch_add(1, Ordering::Relaxed);
}

async fn receiver(tasks: &mut JoinSet<()>) -> (String, Arc<AtomicUsize>) {
    let posts = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().fallback(count).with_state(Arc::clone(&posts));
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, posts)
}

fn client() -> Client {
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let guard = Guard::new(GuardSettings {
        allow,
        ..GuardSettings::default()
    });
    Client::new(webhook::Settings {
        guard,
        ..webhook::Settings::default()
    })
    .unwrap()
}

async fn notifier(options: &ConnectOptions) -> Notifier {
    let settings = Settings {
        cache_expiry: Duration::from_secs(60),
        concurrency: IN_FLIGHT.try_into().unwrap(),
        ..Settings::default()
    };
    Notifier::start(
        options,
        client(),
        SecretKeys::default(),
        Arc::new(NoAlerts),
        settings,
    )
    .await
    .unwrap()
}

fn record(id: String, key: &str) -> Record {
    let mut headers = Headers::new();
    headers.push("id", Some(id.into_bytes()));
    Record {
        origin: KafkaPosition {
            topic: "posts".into(),
            partition: 0,
            offset: 1,
        },
        part: None,
        key: Some(key.into()),
        value: Some(vec![b'1'; 200]),
        headers,
        timestamp_ms: Some(1_700_000_000_000),
    }
}

/// The most memory that this process ever had, in KiB.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_endpoints_fit_into_eighty_mebibytes() {
    with_database("memory", async |options| {
        let mut tasks = JoinSet::new();
        let (url, posts) = receiver(&mut tasks).await;
        execute(
            &options,
            &format!(
                "INSERT INTO cdc.endpoint (id, url) SELECT 'endpoint-' || n, '{url}' || n FROM generate_series(1, {ENDPOINTS}) AS n;
                 INSERT INTO cdc.subscription SELECT id FROM cdc.endpoint;"
            ),
        )
        .await;
        let notifier = notifier(&options).await;
        for event in ["1", "1", "2"] {
            notifier.handle(&record(event.to_owned(), "ann"), Attempt::FIRST).await.unwrap();
        }
        assert_eq!(posts.load(Ordering::Relaxed), 2 * ENDPOINTS);
        let peak = peak_memory() / 1024;
        println!("{peak} MiB, the receiver included");
        assert!(peak <= 80, "{peak} MiB");
    })
    .await;
}

/// Events a second with so many at a time.
async fn rate<F: Future<Output = ()> + Send + 'static>(
    events: usize,
    at_a_time: usize,
    send: impl Fn(usize) -> F,
) -> f64 {
    let started = Instant::now();
    let mut running = JoinSet::new();
    for event in 0..events {
        if running.len() >= at_a_time {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(send(event));
    }
    running.join_all().await;
    events as f64 / started.elapsed().as_secs_f64()
}

/// Seconds of CPU that a process has used, which a busy machine does not change much.
fn cpu_seconds(process: &str) -> f64 {
    const TICKS: f64 = 100.0;
    // A process that is gone uses no more.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum::<f64>()
        / TICKS
}

/// The processes of PostgreSQL that serve the database.
async fn backends(options: &ConnectOptions) -> Vec<String> {
    let sql = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database()";
    let client = connect_client(options).await.unwrap();
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Against a loop around the client alone, in the same run. It asserts nothing but that everything arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: needs an idle machine, and a release build"]
async fn measures_throughput_beside_that_of_the_client_alone() {
    const EVENTS: usize = 20_000;
    with_database("rate", async |options| {
        let mut tasks = JoinSet::new();
        let (url, _) = receiver(&mut tasks).await;
        execute(
            &options,
            &format!(
                "INSERT INTO cdc.endpoint (id, url, max_concurrency) SELECT n::text, '{url}' || n, 100 FROM generate_series(0, 99) AS n;
                 INSERT INTO cdc.subscription SELECT id, id FROM cdc.endpoint;"
            ),
        )
        .await;
        let client = client();
        let target = Arc::new(client.guard().check_url(&url).unwrap());
        let bare = async || {
            rate(EVENTS, IN_FLIGHT, |event| {
                let (client, target) = (client.clone(), Arc::clone(&target));
                async move {
                    let id = event.to_string();
                    let data = [b'1'; 200];
                    let message = Message { id: &id, kind: "posts", timestamp: SystemTime::now(), source: "/posts", subject: None, data: &data };
                    let request = Request {
                        target: &target,
                        id: &WebhookId::new(&id).unwrap(),
                        at: SystemTime::now(),
                        secrets: None,
                        body: &Format::Json.body(&message).unwrap(),
                        headers: &ExtraHeaders::default(),
                    };
                    assert_eq!(client.send(&request).await.class(), Class::Delivered);
                }
            })
            .await
        };
        let notifier = Arc::new(notifier(&options).await);
        let ours = async |run: usize| {
            rate(EVENTS, GIVEN, |event| {
                let notifier = Arc::clone(&notifier);
                async move {
                    let record = record(format!("{run}-{event}"), &(event % 100).to_string());
                    notifier.handle(&record, Attempt::FIRST).await.unwrap();
                }
            })
            .await
        };
        // Neither is to open its connections while it counts.
        bare().await;
        ours(0).await;
        let backends = backends(&options).await;
        let micros = |seconds: f64| seconds * 1e6 / EVENTS as f64;
        let of_postgres = || backends.iter().map(|backend| cpu_seconds(backend)).sum::<f64>();
        let mut ratios = Vec::new();
        for run in 1..=3 {
            let start = cpu_seconds("self");
            let bare = bare().await;
            let (between, postgres) = (cpu_seconds("self"), of_postgres());
            let ours = ours(run).await;
            println!(
                "{bare:.0}/s alone, {ours:.0}/s remembered; CPU {:.0} µs alone, {:.0} µs and {:.0} µs of PostgreSQL",
                micros(between - start),
                micros(cpu_seconds("self") - between),
                micros(of_postgres() - postgres)
            );
            ratios.push(ours / bare);
        }
        ratios.sort_by(f64::total_cmp);
        println!("median ratio {:.2}", ratios[1]);
    })
    .await;
}
