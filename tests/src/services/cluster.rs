//! A PostgreSQL server of a test's own: any version, any settings, with a standby if need be.
//!
//! It goes without `scripts/services`, which runs one server an instance and no standby.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::certificates::{Credentials, write_secret};
use super::version::Version;
use crate::process::{Pid, Signal};
use crate::random::{Random, entropy};
use crate::wait::{Look, until};

/// Below what the kernel takes for outgoing connections: while a server is down, none of its clients may get its port.
const PORTS: std::ops::Range<u64> = 20_000..32_000;

/// How long a server that was killed may take to be gone.
const REAP: Duration = Duration::from_secs(10);

/// One server with its data; stopped and removed when dropped. The superuser `postgres` is let in without a password.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    dir: TempDir,
    port: u16,
}

impl Cluster {
    /// Makes the data of a new cluster. It listens on 127.0.0.1 once it is [started](Self::start), with logical
    /// replication turned on.
    ///
    /// # Errors
    /// Fails if the version cannot be had or `initdb` fails.
    pub fn create(version: Version) -> Result<Self> {
        let cluster = Self::in_new_dir(version.programs()?)?;
        cluster.run(
            "initdb",
            &[
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
        )?;
        cluster.configure("wal_level = logical\nfsync = off\nunix_socket_directories = ''\nlisten_addresses = '127.0.0.1'")?;
        cluster.configure(&format!("port = {}", cluster.port))?;
        Ok(cluster)
    }

    /// Makes a standby of this cluster, which must not have been started yet, as `pg_basebackup` would. It streams
    /// through the physical slot `standby`, which must be made, and is ready for `sync_replication_slots` (17 and later).
    ///
    /// # Errors
    /// Fails if the data cannot be copied.
    pub fn standby(&self) -> Result<Self> {
        ensure!(
            self.postmaster().is_err(),
            "the data of a running server cannot be copied"
        );
        let standby = Self::in_new_dir(self.programs.clone())?;
        let copied = Command::new("cp")
            .arg("-a")
            .args([self.data(), standby.data()])
            .status()?;
        ensure!(copied.success(), "the data could not be copied");
        std::fs::write(standby.data().join("standby.signal"), "")?;
        standby.configure(&format!(
            "port = {}\nprimary_conninfo = 'host=127.0.0.1 port={} user=postgres dbname=postgres'\n\
             primary_slot_name = 'standby'\nhot_standby_feedback = on",
            standby.port, self.port
        ))?;
        standby.own()?;
        Ok(standby)
    }

    /// Adds lines to `postgresql.conf`; they count from the next start.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn configure(&self, lines: &str) -> Result<()> {
        append(&self.data().join("postgresql.conf"), lines)
    }

    /// Turns TLS on from the next start, with client certificates of `authority` (a PEM file), and lets in only whom
    /// `rules`, lines of `pg_hba.conf`, let in.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn encrypt(&self, server: &Credentials, authority: &Path, rules: &str) -> Result<()> {
        let data = self.data();
        std::fs::copy(&server.certificate, data.join("server.crt"))?;
        std::fs::copy(authority, data.join("authority.pem"))?;
        write_secret(
            &data.join("server.key"),
            &std::fs::read_to_string(&server.key)?,
        )?;
        std::fs::write(data.join("pg_hba.conf"), rules)?;
        self.configure("ssl = on\nssl_ca_file = 'authority.pem'")?;
        self.own()
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// Fails if it does not start within a minute; the error has its log.
    pub fn start(&self) -> Result<()> {
        let log = self.log().display().to_string();
        let started = self.run("pg_ctl", &["start", "-w", "-t", "60", "-l", &log]);
        started.with_context(|| std::fs::read_to_string(self.log()).unwrap_or_default())
    }

    /// A "fast" shutdown: sessions are ended, replication clients get the rest of the log. How long it took.
    ///
    /// # Errors
    /// Fails if it takes more than `limit`.
    pub fn stop_fast(&self, limit: Duration) -> Result<Duration> {
        let (started, limit) = (Instant::now(), limit.as_secs().to_string());
        self.run("pg_ctl", &["stop", "-w", "-m", "fast", "-t", &limit])?;
        Ok(started.elapsed())
    }

    /// SIGKILL, with the children: what a power cut leaves.
    ///
    /// # Errors
    /// Fails if it does not run.
    pub async fn kill(&self) -> Result<()> {
        let postmaster = self.postmaster()?;
        let mut processes = postmaster.children()?;
        processes.push(postmaster);
        // The first signal ends them all sooner or later: some may be gone when their turn comes.
        postmaster.send(Signal::Kill)?;
        for process in &processes {
            process.send(Signal::Kill).ok();
        }
        until(REAP, "PostgreSQL to be gone", async || {
            Ok(Look::when(
                !processes.iter().any(|process| process.exists()),
                "it runs",
            ))
        })
        .await
    }

    /// Lets a standby take over.
    ///
    /// # Errors
    /// Fails if it does not within a minute.
    pub fn promote(&self) -> Result<()> {
        self.run("pg_ctl", &["promote", "-w", "-t", "60"])
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the maintenance database, with the superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    fn in_new_dir(programs: PathBuf) -> Result<Self> {
        let cluster = Self {
            programs,
            // Not below a folder that the server's user may be kept from.
            dir: tempfile::Builder::new()
                .prefix("cdc-e2e-pg.")
                .tempdir_in("/tmp")?,
            port: free_port()?,
        };
        cluster.own()?;
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// The server refuses to run as root, and to read what is another user's.
    fn own(&self) -> Result<()> {
        if is_root()? {
            let owned = Command::new("chown")
                .args(["-R", "postgres"])
                .arg(self.dir.path())
                .status()?;
            ensure!(
                owned.success(),
                "the data could not be given to the user postgres"
            );
        }
        Ok(())
    }

    fn postmaster(&self) -> Result<Pid> {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid"))
            .context("the server is down")?;
        Ok(Pid(text
            .lines()
            .next()
            .unwrap_or_default()
            .trim()
            .parse()?))
    }

    /// Runs one of the server's programs on the data, as the server's user.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let path = self.programs.join(program);
        let mut command = if is_root()? {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command
            .arg("-D")
            .arg(self.data())
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null());
        let output = command.output()?;
        if output.status.success() {
            return Ok(());
        }
        bail!(
            "{program} {arguments:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may be down; the data is not needed any more.
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate"]).ok();
    }
}

fn append(file: &Path, lines: &str) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    Ok(std::fs::write(file, format!("{text}\n{lines}\n"))?)
}

fn is_root() -> Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

fn free_port() -> Result<u16> {
    let mut random = Random::seeded(entropy());
    let drawn = (0..100).map(|_| u16::try_from(random.within(PORTS)).unwrap_or_default());
    let mut free = drawn.filter(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    free.next().context("no port is free")
}
