//! The example program of the guarded producer, as a child process.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::outlet::SOON;

/// Not started yet.
pub(crate) struct Prepared(Command);

/// A running one; killed when dropped.
pub(crate) struct Service {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    alerts: Vec<Value>,
    number: u32,
}

/// What it said of an event.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) outcome: String,
    pub(crate) took: Duration,
    /// Why it failed.
    pub(crate) error: Value,
}

impl Service {
    /// Sends one event, and waits for its answer.
    pub(crate) async fn send(&mut self, key: &str) -> Result<Answer> {
        self.number += 1;
        let payload = self.number.to_string();
        self.send_payload(key, &payload).await
    }

    /// As [`send`](Self::send), with a payload.
    pub(crate) async fn send_payload(&mut self, key: &str, payload: &str) -> Result<Answer> {
        self.ask(key, payload).await?;
        self.answer().await
    }

    /// Sends events until Kafka has one; the ids of all.
    pub(crate) async fn send_until_sent(&mut self, key: &str) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        let sends = async {
            loop {
                let answer = self.send(key).await?;
                ids.push(answer.id);
                match answer.outcome.as_str() {
                    "sent" => return Ok(()),
                    "stored" => tokio::time::sleep(Duration::from_millis(20)).await,
                    _ => anyhow::bail!("{}", answer.error),
                }
            }
        };
        timeout(SOON, sends)
            .await
            .context("never sent directly")??;
        Ok(ids)
    }

    /// Sends one event.
    pub(crate) async fn ask(&mut self, key: &str, payload: &str) -> Result<()> {
        let input = self.input.as_mut().context("closed")?;
        input
            .write_all(format!("{key} {payload}\n").as_bytes())
            .await?;
        Ok(())
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Result<Answer> {
        loop {
            let line = timeout(SOON, self.output.next_line())
                .await
                .context("no answer")??;
            let said: Value = serde_json::from_str(&line.context("it has ended")?)?;
            if said["alert"].is_string() {
                self.alerts.push(said);
                continue;
            }
            let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
            return Ok(Answer {
                id: text("id"),
                outcome: text("outcome"),
                took: Duration::from_millis(said["ms"].as_u64().context("no time")?),
                error: said["error"].clone(),
            });
        }
    }

    /// The alerts that came before the last answer.
    pub(crate) fn alerts(&self) -> &[Value] {
        &self.alerts
    }

    /// Ends it in order.
    pub(crate) async fn close(mut self) -> Result<()> {
        drop(self.input.take());
        let status = timeout(SOON, self.child.wait()).await??;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}

impl Prepared {
    /// One that shares the scenario's servers, slot and only topic with its relay.
    pub(crate) fn new(scenario: &Scenario) -> Result<Self> {
        let mut command = Command::new(program()?);
        let name = scenario.database().name();
        command
            .env("KAFKA_BROKERS", scenario.kafka_brokers())
            .env("DATABASE_URL", scenario.database().url().to_string())
            .env("SLOT", name)
            .env("TOPIC", format!("{name}.events"));
        Ok(Self(command))
    }

    /// With another variable of its environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Result<Service> {
        let command = self.0.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let output = child.stdout.take().context("stdout is piped")?;
        Ok(Service {
            input: child.stdin.take(),
            output: BufReader::new(output).lines(),
            child,
            alerts: Vec::new(),
            number: 0,
        })
    }
}

/// Where cargo has built it, together with the tests.
fn program() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let found = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("examples").join("guarded_send"))
        .find(|path| path.exists());
    found.context("no example: run `cargo build -p guarded-producer --examples`")
}
