//! Kafka's own tools, for what the product has no need to do.

use tokio::process::Command;

use crate::services;

/// A topic with settings, deleted in the end.
#[derive(Debug)]
pub(crate) struct ConfiguredTopic {
    pub(crate) name: String,
}

impl ConfiguredTopic {
    /// Makes one with settings as in `--config`.
    pub(crate) async fn create(name: &str, settings: &[&str]) -> Self {
        let mut arguments = vec!["--create", "--topic", name, "--partitions", "2"];
        for setting in settings {
            arguments.extend(["--config", setting]);
        }
        let output = Command::from(topics(&arguments)).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        Self {
            name: name.to_owned(),
        }
    }
}

impl Drop for ConfiguredTopic {
    fn drop(&mut self) {
        let deleted = topics(&["--delete", "--topic", &self.name]).output();
        // A second panic would hide the first.
        if !std::thread::panicking() {
            assert!(deleted.unwrap().status.success());
        }
    }
}

fn topics(arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(services::java());
    command
        .args([
            "-XX:TieredStopAtLevel=1",
            "-cp",
            services::kafka_classpath(),
        ])
        .arg("org.apache.kafka.tools.TopicCommand")
        .args(["--bootstrap-server", services::kafka_brokers()])
        .args(arguments);
    command
}
