//! A child process whose log is kept.

mod log;

use std::process::{Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::process::{Kibibytes, Pid, Signal};
use crate::wait::{Look, until};

pub use log::Log;

/// How long a process may take to end after SIGKILL.
const REAP: Duration = Duration::from_secs(5);

/// A process that we started. Dropping it kills it, and only it.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: std::process::Child,
    log: Log,
    log_reader: Option<JoinHandle<()>>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// Its exit status.
    pub status: ExitStatus,
    /// From the signal to the end.
    pub took: Duration,
    /// The most memory that was resident until the signal.
    pub peak: Kibibytes,
}

impl Child {
    /// Starts `command`, called `name` in errors. What it writes to stderr is added to `log`.
    ///
    /// # Errors
    /// Fails if the program cannot be run.
    pub fn start(name: &str, mut command: Command, log: &Log) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = command.stderr(Stdio::piped()).spawn()?;
        let stderr = process.stderr.take().context("stderr is piped")?;
        let log_reader = Some(log.follow(stderr, process.id()));
        Ok(Self {
            name: name.to_owned(),
            process,
            log: log.clone(),
            log_reader,
        })
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid(self.process.id())
    }

    /// Where its log goes.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
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
    pub async fn wait(mut self, limit: Duration) -> Result<ExitStatus> {
        self.until_ended(limit).await
    }

    async fn end_by(&mut self, signal: Signal, limit: Duration) -> Result<Exit> {
        let ended = self.process.try_wait()?;
        ensure!(
            ended.is_none(),
            "{} had ended by itself: {ended:?}\n{}",
            self.name,
            self.log.tail(20)
        );
        let peak = self.pid().peak_resident()?;
        let started = Instant::now();
        self.pid().send(signal)?;
        let status = self.until_ended(limit).await?;
        Ok(Exit {
            status,
            took: started.elapsed(),
            peak,
        })
    }

    async fn until_ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        until(limit, &what, async || {
            Ok(self
                .process
                .try_wait()?
                .map_or(Look::NotYet("it runs".into()), Look::Ready))
        })
        .await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.process.kill().ok();
        self.process.wait().ok();
        if let Some(reader) = self.log_reader.take() {
            reader.join().ok();
        }
    }
}
