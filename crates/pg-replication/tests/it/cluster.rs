//! A private PostgreSQL with its own `pg_hba.conf` and certificates.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// A running server, which stops with this value.
#[derive(Debug)]
pub(crate) struct Cluster {
    directory: TempDir,
    binaries: PathBuf,
    pub(crate) port: u16,
}

impl Cluster {
    /// A server for TLS and all the authentication methods, with the superuser `postgres`, who is trusted.
    pub(crate) fn start(hba: &str) -> Self {
        let directory = TempDir::with_prefix("pg").unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let cluster = Self {
            directory,
            binaries: binaries(),
            port,
        };
        write_certificates(cluster.path());
        cluster.own();
        let data = cluster.file("data");
        cluster.run(&[
            "initdb",
            "--no-sync",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "-D",
            &data,
        ]);
        std::fs::write(cluster.path().join("data/pg_hba.conf"), hba).unwrap();
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{directory}'\n\
             wal_level = logical\nmax_wal_senders = 4\nfsync = off\nssl = on\n\
             ssl_cert_file = '{directory}/server.pem'\nssl_key_file = '{directory}/server.key'\n\
             ssl_ca_file = '{directory}/authority.pem'\n",
            directory = cluster.path().display(),
        );
        let file = cluster.path().join("data/postgresql.auto.conf");
        std::fs::write(file, settings).unwrap();
        cluster.go();
        cluster
    }

    fn go(&self) {
        let (data, log) = (self.file("data"), self.file("log"));
        self.run(&["pg_ctl", "start", "--wait", "-D", &data, "-l", &log]);
    }

    /// Asks the server to stop, and gives how long that took; `None` when it did not within `limit`.
    pub(crate) fn stop_fast(&self, limit: Duration) -> Option<Duration> {
        let (data, limit) = (self.file("data"), limit.as_secs().to_string());
        let begun = Instant::now();
        let stop = [
            "pg_ctl",
            "stop",
            "--wait",
            "--mode=fast",
            "-t",
            &limit,
            "-D",
            &data,
        ];
        let stopped = self.command(&stop).output().unwrap().status.success();
        stopped.then(|| begun.elapsed())
    }

    /// Starts the server after a stop.
    pub(crate) fn start_again(&self) {
        self.go();
    }

    /// Makes the server that stands still a standby of nobody, starts it and promotes it: it is then on a new timeline.
    pub(crate) fn start_on_a_new_timeline(&self) {
        std::fs::write(self.path().join("data/standby.signal"), "").unwrap();
        self.own();
        self.go();
        self.run(&["pg_ctl", "promote", "--wait", "-D", &self.file("data")]);
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file of the cluster's directory: `authority.pem`, `other.pem`, `client.pem`, `client.key` …
    pub(crate) fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// The server refuses to run as root and to read a key that is another user's.
    fn own(&self) {
        if is_root() {
            let owned = Command::new("chown")
                .args(["-R", "postgres"])
                .arg(self.path())
                .status();
            assert!(owned.unwrap().success());
        }
    }

    fn run(&self, command: &[&str]) {
        let output = self.command(command).output().unwrap();
        assert!(
            output.status.success(),
            "{command:?}: {output:?}\n{:?}",
            std::fs::read_to_string(self.file("log"))
        );
    }

    fn command(&self, command: &[&str]) -> Command {
        let program = self.binaries.join(command[0]);
        let mut run = if is_root() {
            let mut run = Command::new("runuser");
            run.args(["-u", "postgres", "--"]).arg(program);
            run
        } else {
            Command::new(program)
        };
        run.args(&command[1..]).current_dir(self.path());
        run
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.path().join("data/postmaster.pid").exists() {
            return;
        }
        let data = self.file("data");
        let stopped = self
            .command(&["pg_ctl", "stop", "--wait", "--mode=immediate", "-D", &data])
            .output();
        assert!(std::thread::panicking() || stopped.is_ok_and(|output| output.status.success()));
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Where `initdb` and `pg_ctl` are: by `pg_config`, or the newest of Debian's versions.
fn binaries() -> PathBuf {
    let asked = Command::new("pg_config").arg("--bindir").output().ok();
    let asked = asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    installed.sort();
    asked
        .into_iter()
        .chain(installed.into_iter().rev())
        .find(|directory| directory.join("initdb").exists())
        .expect("no initdb: install the PostgreSQL server")
}

/// `authority.pem` issues the server's certificate, for localhost and 127.0.0.1, and the client's, for `certified`;
/// `other.pem` is an authority that has nothing to do with them.
fn write_certificates(directory: &Path) {
    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
    let authority = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let key = KeyPair::generate().unwrap();
    write(
        "authority.pem",
        authority().self_signed(&key).unwrap().pem(),
    );
    write(
        "other.pem",
        authority()
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .pem(),
    );
    let issuer = Issuer::new(authority(), key);
    for (name, common_name, alternatives) in [
        (
            "server",
            "server",
            vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        ),
        ("client", "certified", vec![]),
    ] {
        let mut params = CertificateParams::new(alternatives).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        write(
            &format!("{name}.pem"),
            params.signed_by(&key, &issuer).unwrap().pem(),
        );
        write(&format!("{name}.key"), key.serialize_pem());
        let file = directory.join(format!("{name}.key"));
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
    }
}
