//! A Kafka of one's own, to be killed and frozen.

use std::path::PathBuf;
use std::process::Command;

use cdc_kafka::KafkaOptions;
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");

/// Dropping it removes it.
pub(crate) struct OwnKafka {
    dir: TempDir,
    pub(crate) options: KafkaOptions,
}

impl OwnKafka {
    /// Starts a broker that looks every half second for transactions that are open for too long.
    pub(crate) async fn start() -> Self {
        tokio::task::spawn_blocking(|| {
            let mut kafka = Self {
                dir: tempfile::tempdir().unwrap(),
                options: KafkaOptions::new(""),
            };
            kafka.script(
                "up",
                "transaction.abort.timed.out.transaction.cleanup.interval.ms=500",
            );
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
        self.run("kill");
        self.run("up");
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

    fn run(&self, command: &str) {
        let mut script = Command::new(SCRIPT);
        script.args([command, "kafka"]);
        self.finish(script);
    }

    fn script(&self, command: &str, properties: &str) {
        let mut script = Command::new(SCRIPT);
        script
            .args([command, "kafka"])
            .env("KAFKA_CONF", properties);
        self.finish(script);
    }

    fn finish(&self, mut script: Command) {
        script.env("SERVICES_DIR", self.dir.path());
        let output = script.output().unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for OwnKafka {
    fn drop(&mut self) {
        let script = |arguments: &[&str]| {
            let mut script = Command::new(SCRIPT);
            script.args(arguments).env("SERVICES_DIR", self.dir.path());
            // What cannot be removed is no reason to fail the test that used it.
            drop(script.output());
        };
        // A frozen process ends by SIGKILL too.
        script(&["kill", "kafka"]);
        script(&["destroy"]);
    }
}
