//! Signals to, and figures about, a process that we started.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Length of the clock tick in which Linux counts CPU time for user space, on every architecture.
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// The id of a process that this test is responsible for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pid(pub u32);

/// The signals that tests send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
    /// SIGQUIT.
    Quit,
    /// SIGSTOP.
    Stop,
    /// SIGCONT.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// An amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Kibibytes(pub u64);

impl Kibibytes {
    /// `n` MiB.
    pub const fn from_mebibytes(n: u64) -> Self {
        Self(n * 1024)
    }
}

impl fmt::Display for Kibibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB", self.0 as f64 / 1024.0)
    }
}

impl Pid {
    /// Sends `signal`.
    ///
    /// # Errors
    /// Fails if there is no such process.
    pub fn send(self, signal: Signal) -> Result<()> {
        let output = Command::new("kill")
            .args(["-s", signal.name(), &self.0.to_string()])
            .output()?;
        ensure!(
            output.status.success(),
            "kill -{} {}: no such process",
            signal.name(),
            self.0
        );
        Ok(())
    }

    /// Whether it runs; one that has ended but not been waited for does not.
    pub(crate) fn exists(self) -> bool {
        self.read("status")
            .is_ok_and(|status| !status.contains("State:\tZ"))
    }

    /// Its child processes.
    pub(crate) fn children(self) -> Result<Vec<Pid>> {
        let pid = self.0;
        let text = self.read(&format!("task/{pid}/children"))?;
        text.split_whitespace()
            .map(|child| Ok(Pid(child.parse()?)))
            .collect()
    }

    /// Resident memory, now.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn resident(self) -> Result<Kibibytes> {
        self.status_line("VmRSS:")
    }

    /// The most memory that was ever resident.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn peak_resident(self) -> Result<Kibibytes> {
        self.status_line("VmHWM:")
    }

    /// CPU time used so far, in user and system mode, of all threads.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn cpu_time(self) -> Result<Duration> {
        let (_, time) = name_and_cpu_time(&self.read("stat")?)?;
        Ok(time)
    }

    /// CPU time used so far by those threads that run now and whose name begins with `prefix`. Linux keeps 15
    /// characters of a name.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn cpu_time_of_threads(self, prefix: &str) -> Result<Duration> {
        let tasks = format!("/proc/{}/task", self.0);
        let mut total = Duration::ZERO;
        for task in std::fs::read_dir(&tasks).with_context(|| format!("read {tasks}"))? {
            // A thread may have ended since it was listed.
            let Ok(stat) = std::fs::read_to_string(task?.path().join("stat")) else {
                continue;
            };
            let (name, time) = name_and_cpu_time(&stat)?;
            if name.starts_with(prefix) {
                total += time;
            }
        }
        Ok(total)
    }

    fn status_line(self, name: &str) -> Result<Kibibytes> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(Kibibytes(
            value
                .with_context(|| format!("/proc/PID/status has no {name}"))?
                .parse()?,
        ))
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        std::fs::read_to_string(&path).with_context(|| format!("read {path}"))
    }
}

/// What `stat` in `/proc` says of a process or a thread.
fn name_and_cpu_time(stat: &str) -> Result<(&str, Duration)> {
    // The second field is the name in parentheses and may contain spaces.
    let (name, fields) = stat.rsplit_once(')').context("a stat has no name")?;
    let (_, name) = name.split_once('(').context("a stat has no name")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u32>);
    Ok((name, CLOCK_TICK * ticks.sum::<Result<u32, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_figures_of_this_process() {
        let this = Pid(std::process::id());
        let resident = this.resident().unwrap();
        assert!(resident > Kibibytes(100));
        assert!(this.peak_resident().unwrap() >= resident);
        let before = this.cpu_time().unwrap();
        let mut sum = 0u64;
        while this.cpu_time().unwrap() < before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum + 1);
        }
    }

    #[test]
    fn tells_the_time_of_threads_by_their_names() {
        let this = Pid(std::process::id());
        let busy = std::thread::Builder::new().name("busy one".to_owned());
        let used = busy.spawn(move || {
            while this.cpu_time_of_threads("busy").unwrap() < Duration::from_millis(20) {
                std::hint::black_box(());
            }
            this.cpu_time_of_threads("idle").unwrap()
        });
        assert_eq!(used.unwrap().join().unwrap(), Duration::ZERO);
    }

    #[test]
    fn a_signal_to_nobody_is_an_error() {
        assert!(Pid(u32::MAX / 2).send(Signal::Continue).is_err());
    }
}
