//! Servers of our own, to be killed, stopped and frozen.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Component;
use super::settings::{Settings, checkout};
use crate::process::{Pid, Signal};
use crate::wait::{Look, until};

/// An instance of `scripts/services` in a directory of its own. Dropping it destroys it, unless it is kept.
#[derive(Debug)]
pub struct Instance {
    dir: PathBuf,
    components: Vec<Component>,
    environment: Vec<(&'static str, String)>,
    keep: bool,
}

impl Instance {
    /// Starts `components` in `dir`, or finds them running there. With `show`, what that takes is said on stdout.
    pub(super) async fn start(dir: PathBuf, components: &[Component], show: bool) -> Result<Self> {
        Self::start_with(dir, components, Vec::new(), show).await
    }

    /// Like [`start`](Self::start), with variables that `scripts/services` knows.
    pub(super) async fn start_with(
        dir: PathBuf,
        components: &[Component],
        environment: Vec<(&'static str, String)>,
        show: bool,
    ) -> Result<Self> {
        let instance = Self {
            dir,
            components: components.to_vec(),
            environment,
            keep: false,
        };
        let mut up = tokio::process::Command::from(instance.command("up", components));
        let said = || {
            if show {
                Stdio::inherit()
            } else {
                Stdio::piped()
            }
        };
        up.stdout(said()).stderr(said());
        require_success("up", &up.spawn()?.wait_with_output().await?)?;
        Ok(instance)
    }

    /// Starts one more broker for this instance's Kafka, with the same settings. It must not outlive that.
    ///
    /// # Errors
    /// Fails if it does not come up.
    pub async fn another_broker(&self) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("cdc-e2e.")
            .tempdir()?
            .keep();
        let mut environment = self.environment.clone();
        environment.push(("KAFKA_JOIN", self.dir.display().to_string()));
        Self::start_with(dir, &[Component::Kafka], environment, false).await
    }

    pub(super) fn keep(&mut self, keep: bool) {
        self.keep = keep;
    }

    pub(super) fn has(&self, component: Component) -> bool {
        self.components.contains(&component)
    }

    pub(super) fn settings(&self) -> Result<Settings> {
        Settings::read(&self.dir)
    }

    /// SIGKILL, with the children: what a power cut leaves. The data stays.
    ///
    /// # Errors
    /// Fails if the component does not run.
    pub async fn kill(&self, component: Component) -> Result<()> {
        self.run("kill", &[component]).await
    }

    /// Starts a component that is down, and waits until it answers.
    ///
    /// # Errors
    /// Fails if it does not come up; the error has its last log lines.
    pub async fn start_again(&self, component: Component) -> Result<()> {
        self.run("up", &[component]).await
    }

    /// Restarts Kafka with additional lines of server.properties, `;` between them; they stay in force.
    ///
    /// # Errors
    /// Fails if it does not come up.
    async fn configure_kafka(&self, properties: &str) -> Result<()> {
        let command = self.command("restart", &[Component::Kafka]);
        let mut restart = tokio::process::Command::from(command);
        restart.env("KAFKA_CONF", properties);
        restart.stdout(Stdio::piped()).stderr(Stdio::piped());
        require_success("restart", &restart.spawn()?.wait_with_output().await?)
    }

    /// Has Kafka's controller wait for two minutes for a broker that is silent: one that is frozen is not fenced. A broker
    /// that is alone and fenced may lose the marks of transactions when it goes on: see `docs/acceptance.md`.
    ///
    /// # Errors
    /// Fails if it does not come up.
    pub async fn be_patient_with_kafka(&self) -> Result<()> {
        self.configure_kafka("broker.session.timeout.ms=120000")
            .await
    }

    /// An orderly stop; PostgreSQL's is "fast". The data stays.
    ///
    /// # Errors
    /// Fails if it does not stop.
    pub async fn stop(&self, component: Component) -> Result<()> {
        self.run("stop", &[component]).await
    }

    /// PostgreSQL's "immediate" shutdown: connections are cut, recovery follows at the next start.
    ///
    /// # Errors
    /// Fails if the server does not run, or takes more than 10 s.
    pub async fn stop_postgres_immediately(&self) -> Result<()> {
        let postmaster = self.pid(Component::Postgres)?;
        postmaster.send(Signal::Quit)?;
        until(Duration::from_secs(10), "PostgreSQL to stop", async || {
            Ok(Look::when(!postmaster.exists(), "it runs"))
        })
        .await
    }

    /// Stops a server in its tracks: connections stay open and nothing answers.
    ///
    /// # Errors
    /// Fails if it does not run.
    pub fn freeze(&self, component: Component) -> Result<()> {
        self.send_to_all(component, Signal::Stop)
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// Fails if it does not run.
    pub fn thaw(&self, component: Component) -> Result<()> {
        self.send_to_all(component, Signal::Continue)
    }

    fn send_to_all(&self, component: Component, signal: Signal) -> Result<()> {
        let parent = self.pid(component)?;
        parent.send(signal)?;
        for child in parent.children()? {
            // It may have ended since it was listed.
            child.send(signal).ok();
        }
        Ok(())
    }

    /// The process of a component; of PostgreSQL the postmaster.
    ///
    /// # Errors
    /// Fails if it does not run.
    pub fn pid(&self, component: Component) -> Result<Pid> {
        let file = self.dir.join(component.name()).join("pid");
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("{} is down", component.name()))?;
        Ok(Pid(text.trim().parse()?))
    }

    /// If this is cancelled, the script goes on to a safe end; `drop` waits for its lock.
    async fn run(&self, command: &str, components: &[Component]) -> Result<()> {
        let mut process = tokio::process::Command::from(self.command(command, components));
        let output = process.output().await?;
        require_success(command, &output)
    }

    fn command(&self, command: &str, components: &[Component]) -> Command {
        let mut process = Command::new(checkout().join("scripts/services"));
        process
            .arg(command)
            .args(components.iter().map(|component| component.name()));
        process
            .env("SERVICES_DIR", &self.dir)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        process
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        for &component in &self.components {
            self.thaw(component).ok();
        }
        if self.keep {
            return;
        }
        for &component in &self.components {
            // Nobody needs the data: a kill is quicker than an orderly stop.
            self.command("kill", &[component]).output().ok();
        }
        self.command("destroy", &[]).output().ok();
        std::fs::remove_dir(&self.dir).ok();
    }
}

fn require_success(command: &str, output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "scripts/services {command}: {}\n{said}{failed}",
        output.status
    );
    Ok(())
}
