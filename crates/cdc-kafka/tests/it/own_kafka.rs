//! A Kafka of one's own, to be killed and frozen.

use std::path::PathBuf;
use std::process::Command;

use cdc_kafka::KafkaOptions;
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");

// Kafka 4.3 takes a partition without a leader for a deleted one, and leaves out the marks of transactions that it is
// just ending there: what was aborted is seen with the next commit of the producer. A lone broker has no leaders from
// the moment at which it is fenced. After a crash that is when the session of its earlier life runs out, and it must
// happen before the coordinator starts.

/// A session that has run out before a broker that crashed is up again.
pub(crate) const SHORT_SESSION: &str =
    "broker.session.timeout.ms=500;broker.heartbeat.interval.ms=100";

/// A session that does not run out while the broker is frozen.
pub(crate) const LONG_SESSION: &str =
    "broker.session.timeout.ms=60000;broker.heartbeat.interval.ms=500";

/// Dropping it removes it.
pub(crate) struct OwnKafka {
    dir: TempDir,
    pub(crate) options: KafkaOptions,
}

impl OwnKafka {
    /// Starts a broker that looks every half second for transactions that are open for too long, with more
    /// properties, `;` between them.
    pub(crate) async fn start(properties: &'static str) -> Self {
        tokio::task::spawn_blocking(move || {
            let mut kafka = Self {
                dir: tempfile::tempdir().unwrap(),
                options: KafkaOptions::new(""),
            };
            let often = "transaction.abort.timed.out.transaction.cleanup.interval.ms=500";
            let mut script = kafka.script("up");
            script.env("KAFKA_CONF", format!("{often};{properties}"));
            finish(script);
            let settings = std::fs::read_to_string(kafka.dir.path().join("env")).unwrap();
            let brokers = settings
                .lines()
                .find_map(|line| line.strip_prefix("KAFKA_BROKERS="))
                .unwrap();
            kafka.options = KafkaOptions::new(brokers.trim_matches(['\'', '"']));
            kafka
        })
        .await
        .unwrap()
    }

    /// SIGKILL, and a start with the data that is left.
    pub(crate) fn crash(&self) {
        finish(self.script("kill"));
        finish(self.script("up"));
    }

    /// Stops it in its tracks: connections stay, and nothing answers.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.pid_file()).unwrap();
        let sent = Command::new("kill")
            .args(["-s", signal, pid.trim()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.path().join("kafka").join("pid")
    }

    fn script(&self, command: &str) -> Command {
        let mut script = Command::new(SCRIPT);
        script
            .args([command, "kafka"])
            .env("SERVICES_DIR", self.dir.path());
        script
    }
}

fn finish(mut script: Command) {
    let output = script.output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Drop for OwnKafka {
    fn drop(&mut self) {
        // What cannot be removed is no reason to fail the test that used it. A frozen process ends by SIGKILL too.
        drop(self.script("kill").output());
        let mut destroy = Command::new(SCRIPT);
        destroy.arg("destroy").env("SERVICES_DIR", self.dir.path());
        drop(destroy.output());
    }
}
