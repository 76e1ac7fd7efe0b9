//! The program under test, as a child process.

mod options;

use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::admin::Admin;
use crate::child::Child;
pub use crate::child::{Exit, Log};
use crate::process::Pid;
use crate::wait::Wait;

pub use options::RelayOptions;

/// How long the relay may take to get anywhere.
const START: Duration = Duration::from_secs(30);

/// A running `cdc-relay relay`. Dropping it kills it, and only it.
#[derive(Debug)]
pub struct Relay {
    child: Child,
    admin: Admin,
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
        let child = Child::start("the relay", command, log)?;
        Ok(Self { child, admin })
    }

    /// Where it answers to HTTP.
    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// Ends it without any warning, and waits until it is gone.
    ///
    /// # Errors
    /// Fails if it had ended by itself.
    pub async fn kill_9(self) -> Result<Exit> {
        self.child.kill_9().await
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// Fails if it had ended by itself, or takes longer than `limit`.
    pub async fn sigterm(self, limit: Duration) -> Result<Exit> {
        self.child.sigterm(limit).await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Fails if it does not within `limit`.
    pub async fn exit(self, limit: Duration) -> Result<ExitStatus> {
        self.child.wait(limit).await
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
                self.child.log().tail(20)
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
        self.child.is_running()
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

/// A program that is built together with the binary.
pub(crate) fn program_beside(name: &str) -> Result<PathBuf> {
    let path = binary()?.with_file_name(name);
    ensure!(
        path.exists(),
        "no {}: run `cargo build --bins`",
        path.display()
    );
    Ok(path)
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
