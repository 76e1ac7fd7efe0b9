//! A relay, or another role, that runs while a test looks at it.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;

use crate::binary::command;
use crate::database::TestDatabase;
use crate::services;

/// Longer than anything that is waited for takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// A running `cdc-relay relay` or another role, killed when dropped.
#[derive(Debug)]
pub(crate) struct RunningRelay {
    child: Child,
    /// Its `admin.listen`.
    pub(crate) address: String,
    log: tempfile::NamedTempFile,
}

impl RunningRelay {
    /// Starts one with the settings of [`TestDatabase::run_with`].
    pub(crate) fn start(database: &TestDatabase, more: &[(&str, &str)]) -> Self {
        Self::start_role(&["relay"], database, more)
    }

    /// The same for the command `role`.
    pub(crate) fn start_role(
        role: &[&str],
        database: &TestDatabase,
        more: &[(&str, &str)],
    ) -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let url = database.url();
        let mut environment = vec![
            ("CDC_POSTGRES__URL", url.as_str()),
            ("CDC_KAFKA__BROKERS", services::kafka_brokers()),
            ("CDC_RELAY__SLOT", database.name.as_str()),
            ("CDC_ADMIN__LISTEN", address.as_str()),
        ];
        environment.extend_from_slice(more);
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = command(role, &environment)
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            address,
            log,
        }
    }

    /// The body of `/status`, once there is one.
    pub(crate) async fn status(&self) -> Value {
        let mut status = Value::Null;
        until("the relay answers", async || {
            if let Some(body) = get(&self.address, "/status").await {
                status = serde_json::from_str(&body).unwrap();
            }
            !status.is_null()
        })
        .await;
        status
    }

    /// Waits until `/status` has this phase.
    pub(crate) async fn until_phase(&self, phase: &str) {
        until(phase, async || self.status().await["phase"] == phase).await;
    }

    /// The sum of a metric over its labels; 0 as long as it was never touched.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let body = get(&self.address, "/metrics").await.unwrap_or_default();
        body.lines()
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let of_this = series == name || series.starts_with(&format!("{name}{{"));
                of_this.then(|| value.parse::<f64>().unwrap())
            })
            .sum()
    }

    /// Whether it exports this metric.
    pub(crate) async fn shows(&self, name: &str) -> bool {
        let body = get(&self.address, "/metrics").await.unwrap_or_default();
        body.lines().any(|line| line.starts_with(name))
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Looks until `holds`, and fails after [`LIMIT`].
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < LIMIT, "waited {LIMIT:?} for: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The body of an answer 200.
async fn get(address: &str, path: &str) -> Option<String> {
    let mut socket = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}
