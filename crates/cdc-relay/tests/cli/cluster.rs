//! A PostgreSQL server of its own, for settings that the shared one cannot have.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pg_replication::connect_client;
use tempfile::TempDir;

use crate::database::options;

/// The superuser's password.
pub(crate) const PASSWORD: &str = "correct-horse";
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server that asks for passwords. It is stopped and removed when dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    directory: TempDir,
    /// Where its programs are.
    programs: PathBuf,
    /// `host:port`.
    pub(crate) address: String,
}

impl Cluster {
    /// Starts one with more lines for `postgresql.conf`.
    pub(crate) async fn start(settings: &str) -> Self {
        Self::start_of(server_programs(), settings).await
    }

    /// Starts one of another major version, which is fetched if it is not there.
    pub(crate) async fn start_version(major: u32, settings: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres-version");
        let output = tokio::process::Command::new(script)
            .arg(major.to_string())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "PostgreSQL {major}: {output:?}");
        let programs = String::from_utf8(output.stdout).unwrap();
        Self::start_of(PathBuf::from(programs.trim()), settings).await
    }

    async fn start_of(programs: PathBuf, settings: &str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("cdc-cli-")
            .tempdir_in("/tmp")
            .unwrap();
        let path = directory.path();
        std::fs::write(path.join("password"), PASSWORD).unwrap();
        owned_by_server(path);
        let data = path.join("data");
        let data_text = data.to_str().unwrap();
        let password = path.join("password");
        let initdb = [
            "-D",
            data_text,
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "--pwfile",
        ];
        run(server_command(&programs, "initdb")
            .args(initdb)
            .arg(&password)
            .arg("--no-sync"));
        let port = free_port();
        let more = format!(
            "\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n{settings}\n"
        );
        let file = data.join("postgresql.conf");
        let conf = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, conf + &more).unwrap();
        let cluster = Self {
            directory,
            programs,
            address: format!("127.0.0.1:{port}"),
        };
        let log = cluster.directory.path().join("data/log");
        let log_text = log.to_str().unwrap();
        run(server_command(&cluster.programs, "pg_ctl")
            .args(["-D", data_text, "-l", log_text, "-w", "start"]));
        cluster.answers().await;
        cluster
    }

    /// The URL of the superuser, with any database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@{}/postgres", self.address)
    }

    async fn answers(&self) {
        let started = Instant::now();
        while let Err(error) = connect_client(&options(&self.url())).await {
            assert!(
                started.elapsed() < START_LIMIT,
                "the private server does not answer: {error}"
            );
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.directory.path().join("data");
        run(server_command(&self.programs, "pg_ctl")
            .args(["-m", "immediate", "-w", "stop", "-D"])
            .arg(data));
    }
}

/// A program of the server, as the user that it must run as: it refuses root.
fn server_command(programs: &Path, program: &str) -> Command {
    let program = programs.join(program);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command
        .args(["-u", "postgres", "--"])
        .arg(program)
        .current_dir("/");
    command
}

fn server_programs() -> PathBuf {
    if let Some(directory) = std::env::var_os("PG_BIN") {
        return directory.into();
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|directory| directory.join("initdb").exists())
        .collect();
    found.sort();
    found
        .pop()
        .expect("PostgreSQL's server programs: run `make services-up`")
}

fn owned_by_server(directory: &Path) {
    if is_root() {
        run(Command::new("chown")
            .args(["-R", "postgres"])
            .arg(directory));
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

fn run(command: &mut Command) {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
