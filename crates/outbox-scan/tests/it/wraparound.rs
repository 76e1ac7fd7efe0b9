//! A private server whose transaction ids have gone round: rows of every age.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use outbox_scan::{Chunk, ScanPlan, TableName, TableScan, View, take_snapshot};
use pg_replication::pgoutput::Xid;
use pg_replication::{Client, ConnectOptions, connect_client};
use tempfile::TempDir;

use crate::database::{numbers, rows};

/// A server that stops with this value.
struct Cluster {
    directory: TempDir,
    binaries: PathBuf,
    options: ConnectOptions,
}

impl Cluster {
    fn create() -> Self {
        let directory = TempDir::with_prefix("wrap").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let cluster = Self {
            directory,
            binaries: binaries(),
            options: url.parse().unwrap(),
        };
        cluster.own();
        let data = cluster.data();
        cluster.run(
            "initdb",
            &["--no-sync", "-U", "postgres", "-A", "trust", "-D", &data],
        );
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nfsync = off\nautovacuum = off\n"
        );
        std::fs::write(Path::new(&data).join("postgresql.auto.conf"), settings).unwrap();
        cluster.start();
        cluster
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    fn start(&self) {
        let (data, log) = (self.data(), self.directory.path().join("log"));
        self.run(
            "pg_ctl",
            &["start", "-w", "-D", &data, "-l", &log.display().to_string()],
        );
    }

    fn stop(&self) {
        self.run("pg_ctl", &["stop", "-w", "-m", "fast", "-D", &self.data()]);
    }

    /// Freezes all rows, and lets the next transaction have this id of this round.
    async fn jump(&self, round: u32, xid: u32) {
        for database in ["postgres", "template1", "template0"] {
            let options = self.options.clone().with_database(database);
            let client = connect_client(&options).await.unwrap();
            let allow = "ALTER DATABASE template0 ALLOW_CONNECTIONS true";
            client.batch_execute(allow).await.unwrap();
            client.batch_execute("VACUUM FREEZE").await.unwrap();
        }
        self.stop();
        let (round, xid_text) = (round.to_string(), xid.to_string());
        self.run(
            "pg_resetwal",
            &["-e", &round, "-x", &xid_text, "-D", &self.data()],
        );
        // The states of 2²⁰ transactions, of which none was ever committed.
        let states = format!("pg_xact/{:04X}", xid >> 20);
        std::fs::write(Path::new(&self.data()).join(states), vec![0; 1 << 18]).unwrap();
        self.own();
        self.start();
    }

    async fn client(&self) -> Client {
        connect_client(&self.options).await.unwrap()
    }

    async fn insert(&self, row: i32) {
        let sql = format!("INSERT INTO t VALUES ({row})");
        self.client().await.batch_execute(&sql).await.unwrap();
    }

    async fn scan(&self, plan: ScanPlan) -> Vec<Chunk> {
        let mut scan = TableScan::open(&self.options, plan).await.unwrap();
        let mut chunks = Vec::new();
        while let Some(chunk) = scan.next_chunk().await.unwrap() {
            chunks.push(chunk);
        }
        chunks
    }

    /// The server refuses to run as root.
    fn own(&self) {
        if is_root() {
            let owned = Command::new("chown")
                .args(["-R", "postgres"])
                .arg(self.directory.path())
                .status();
            assert!(owned.unwrap().success());
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.binaries.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let output = command
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        let log = std::fs::read_to_string(self.directory.path().join("log"));
        assert!(
            output.status.success(),
            "{arguments:?}: {output:?}\n{log:?}"
        );
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if Path::new(&self.data()).join("postmaster.pid").exists() {
            self.stop();
        }
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

#[tokio::test]
async fn tells_old_rows_from_young_ones_beyond_the_wrap() {
    let cluster = Cluster::create();
    cluster
        .client()
        .await
        .batch_execute("CREATE TABLE t (n int)")
        .await
        .unwrap();
    cluster.jump(0, 1_900_000_000).await;
    cluster.insert(1).await;
    cluster.jump(0, 3_700_000_000).await;
    cluster.insert(2).await;
    // The first is now older by more than 2³¹, the second by less; both have a larger `xmin` than what follows.
    cluster.jump(1, 1_000_000).await;
    cluster.insert(3).await;
    let client = cluster.client().await;
    client
        .batch_execute("BEGIN; INSERT INTO t VALUES (4)")
        .await
        .unwrap();
    let snapshot = take_snapshot(&client).await.unwrap();
    let running: i64 = client
        .query_one("SELECT pg_current_xact_id()::text::int8", &[])
        .await
        .unwrap()
        .get(0);
    assert!(running > 1 << 32, "{running}");
    client.batch_execute("COMMIT").await.unwrap();
    cluster.insert(5).await;

    let plan = ScanPlan {
        tables: vec![TableName::new("public", "t")],
        view: View::AsOf(snapshot),
        since: None,
        after: None,
    };
    let chunks = cluster.scan(plan.clone()).await;
    assert_eq!(numbers(&chunks), [1, 2, 3]);
    let xids: Vec<u32> = rows(&chunks).map(|row| row.xid.get()).collect();
    assert!(
        xids[0] > 1_000_000_000 && xids[1] > xids[0] && xids[2] < xids[0],
        "{xids:?}"
    );
    for (since, expected) in [
        (xids[0], &[1, 2, 3][..]),
        (xids[0] + 1, &[2, 3]),
        (xids[1], &[2, 3]),
        (xids[1] + 1, &[3]),
        (u32::MAX, &[3]),
        (3, &[3]),
        (xids[2], &[3]),
        (xids[2] + 1, &[]),
    ] {
        let plan = ScanPlan {
            since: Some(Xid(since)),
            ..plan.clone()
        };
        assert_eq!(
            numbers(&cluster.scan(plan).await),
            expected,
            "since {since}"
        );
    }
}
