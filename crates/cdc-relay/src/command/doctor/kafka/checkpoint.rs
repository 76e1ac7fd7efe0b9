//! The topic in which the relay keeps how far it has come.

use cdc_kafka::{ClusterDetails, TopicDetails};

use super::topics;
use crate::command::doctor::finding::Findings;
use crate::command::init::{checkpoint_topic, missing_checkpoint_topic};
use crate::config::Config;

pub(super) async fn check(details: &ClusterDetails, config: &Config) -> Findings {
    let name = checkpoint_topic(config);
    let mut findings = Findings::at(format!("topic {name}"));
    let Some(topic) = details.topics.iter().find(|topic| topic.topic == name) else {
        if config.kafka.topics.create {
            topics::may_create(name, "by `cdc-relay init`", config, &mut findings).await;
        } else {
            findings.failed("checkpoint", &missing_checkpoint_topic(name));
        }
        return findings;
    };
    judge(topic, details.brokers, &mut findings);
    findings
}

fn judge(topic: &TopicDetails, brokers: usize, findings: &mut Findings) {
    let policy = topic
        .settings
        .as_ref()
        .and_then(|settings| settings.get("cleanup.policy"));
    match policy {
        Some("compact") => {}
        Some(other) => findings.fail(
            "checkpoint",
            format!(
                "cleanup.policy is {other:?}: Kafka deletes checkpoints by age, and a lost slot would not be noticed"
            ),
            format!(
                "kafka-configs --alter --entity-type topics --entity-name {} --add-config cleanup.policy=compact",
                topic.topic
            ),
        ),
        None => findings.ok(
            "checkpoint",
            "cleanup.policy must be \"compact\"; this client may not see it",
        ),
    }
    if topic.partitions != 1 {
        findings.warn(
            "checkpoint",
            format!(
                "it has {} partitions; one is enough, and quicker to read",
                topic.partitions
            ),
            "leave it, or delete it while no relay runs and let `cdc-relay init` make it again",
            None,
        );
    }
    topics::durability(topic, brokers, findings);
    if findings.is_empty() {
        findings.ok("checkpoint", "compacted, one partition");
    }
}

#[cfg(test)]
mod tests {
    use cdc_kafka::Settings;

    use super::super::super::finding::{Report, Status};
    use super::*;

    fn statuses(policy: &str, partitions: usize) -> Vec<Status> {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let topic = TopicDetails {
            topic: "t".to_owned(),
            partitions,
            replicas: 3,
            in_sync: 3,
            without_leader: 0,
            settings: Some(Settings::from_iter([
                setting("cleanup.policy", policy),
                setting("min.insync.replicas", "2"),
            ])),
        };
        let mut findings = Findings::at("t");
        judge(&topic, 3, &mut findings);
        let mut report = Report::default();
        report.add(findings);
        report
            .findings
            .iter()
            .map(|finding| finding.status)
            .collect()
    }

    #[test]
    fn checkpoints_must_never_be_deleted_by_age() {
        assert_eq!(statuses("compact", 1), [Status::Ok]);
        assert_eq!(statuses("compact", 3), [Status::Warn]);
        assert_eq!(statuses("delete", 1), [Status::Fail]);
        assert_eq!(statuses("compact,delete", 1), [Status::Fail]);
    }
}
