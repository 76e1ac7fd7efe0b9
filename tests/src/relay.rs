//! The program under test, as a child process.

mod log;
mod options;

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::admin::Admin;
use crate::process::{Kibibytes, Pid, Signal};
use crate::wait::{Look, Wait, until};

pub use log::Log;
pub use options::RelayOptions;

/// How long the relay may take to end after SIGKILL.
const REAP: Duration = Duration::from_secs(5);

/// How long the relay may take to get anywhere.
const START: Duration = Duration::from_secs(30);

/// A running `cdc-relay relay`. Dropping it kills it, and only it.
#[derive(Debug)]
pub struct Relay {
    child: Child,
    admin: Admin,
    log: Log,
    log_reader: Option<JoinHandle<()>>,
}

/// How the relay ended.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// Its exit status.
    pub status: ExitStatus,
    /// From the signal to the end.
    pub took: Duration,
    /// The most memory that was resident until the signal.
    pub peak: Kibibytes,
}

impl Relay {
    /// Starts `cdc-relay relay`. What it logs is added to `log`.
    ///
    /// # Errors
    /// Fails if the binary cannot be run. Whether it gets anywhere shows later.
    pub fn start(options: &RelayOptions, log: &Log) -> Result<Self> {
        Self::start_as("relay", options, log)
    }

    /// Like [`start`](Self::start), with other arguments, such as `relay --shard 0`.
    ///
    /// # Errors
    /// As there.
    pub fn start_as(arguments: &str, options: &RelayOptions, log: &Log) -> Result<Self> {
        let admin = Admin::on_free_port()?;
        let mut command = options.command(arguments)?;
        command.env("CDC_ADMIN__LISTEN", admin.0.to_string());
        let mut child = command
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let log_reader = Some(log.follow(stderr, child.id()));
        Ok(Self {
            child,
            admin,
            log: log.clone(),
            log_reader,
        })
    }

    /// Where it answers to HTTP.
    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// Ends it without any warning, and waits until it is gone.
    ///
    /// # Errors
    /// Fails if it had ended by itself.
    pub async fn kill_9(mut self) -> Result<Exit> {
        self.end_by(Signal::Kill, REAP).await
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// Fails if it had ended by itself, or takes longer than `limit`.
    pub async fn sigterm(mut self, limit: Duration) -> Result<Exit> {
        self.end_by(Signal::Terminate, limit).await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Fails if it does not within `limit`.
    pub async fn exit(mut self, limit: Duration) -> Result<ExitStatus> {
        self.wait(limit).await
    }

    /// Waits until `/status` has this phase, such as `standby`.
    ///
    /// # Errors
    /// Fails if the relay ends, or is in another phase for 30 s.
    pub async fn until_phase(&mut self, phase: &str) -> Result<()> {
        let wait = Wait::new(START, "the relay to get going");
        loop {
            ensure!(
                self.is_running(),
                "the relay has ended by itself:\n{}",
                self.log.tail(20)
            );
            match self.admin.status().await {
                Ok(status) if status["phase"] == phase => return Ok(()),
                Ok(status) => {
                    wait.again(format_args!("wanted phase {phase}: {status}"))
                        .await?;
                }
                Err(error) => wait.again(format!("{error:#}")).await?,
            }
        }
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    async fn end_by(&mut self, signal: Signal, limit: Duration) -> Result<Exit> {
        let ended = self.child.try_wait()?;
        ensure!(
            ended.is_none(),
            "the relay had ended by itself: {ended:?}\n{}",
            self.log.tail(20)
        );
        let peak = self.pid().peak_resident()?;
        let started = Instant::now();
        self.pid().send(signal)?;
        let status = self.wait(limit).await?;
        Ok(Exit {
            status,
            took: started.elapsed(),
            peak,
        })
    }

    async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        until(limit, "the relay to end", async || {
            Ok(self
                .child
                .try_wait()?
                .map_or(Look::NotYet("it runs".into()), Look::Ready))
        })
        .await
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(reader) = self.log_reader.take() {
            reader.join().ok();
        }
    }
}

/// Runs a command of `cdc-relay` that ends by itself, such as `init`.
///
/// # Errors
/// Fails if the binary cannot be run or its exit status is not 0; the error has what it said.
pub async fn run(options: &RelayOptions, arguments: &str) -> Result<Output> {
    let command = options.command(arguments)?;
    let output = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "cdc-relay {arguments}: {}\n{said}",
        output.status
    );
    Ok(output)
}

/// A command of `cdc-relay` that has not been started.
///
/// # Errors
/// Fails if there is no binary.
pub fn command(options: &RelayOptions, arguments: &str) -> Result<Command> {
    options.command(arguments)
}

/// The binary: `CDC_RELAY_BIN`, else the one that cargo built into the same directory as this program.
fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CDC_RELAY_BIN") {
        return Ok(path.into());
    }
    let this = std::env::current_exe()?;
    // Test binaries are one level down, in `deps`.
    let found = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("cdc-relay"))
        .find(|path| path.exists());
    found.context("no binary: run `cargo build -p cdc-relay`, or set CDC_RELAY_BIN")
}

/// A command line without anything from this process's environment that would configure the relay.
///
/// # Errors
/// Fails if there is no binary.
pub fn bare_command(arguments: &str) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .args(arguments.split_whitespace())
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CDC_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}
