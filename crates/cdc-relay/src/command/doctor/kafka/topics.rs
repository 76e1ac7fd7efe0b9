//! The topics that events go to.

use cdc_kafka::{
    ClusterDetails, Inspection, Settings, TopicDetails, TopicInfo, TopicSettings, Topics,
};

use super::{EventTopics, TIMEOUT};
use crate::command::doctor::finding::{Findings, Report};
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};

/// Stands for a routed value when there is no topic to look at.
const SAMPLE: &str = "cdc-relay-doctor";
/// A relay that was away for shorter than this must be able to send what it finds.
const LONGEST_ABSENCE_MS: i64 = 7 * 86_400_000;

pub(super) async fn check(details: &ClusterDetails, config: &Config, report: &mut Report) {
    let events = EventTopics::of(&config.outbox.topic);
    let found: Vec<&TopicDetails> = details
        .topics
        .iter()
        .filter(|topic| events.include(&topic.topic))
        .collect();
    for topic in &found {
        let mut findings = Findings::at(format!("topic {}", topic.topic));
        durability(topic, details.brokers, &mut findings);
        if let Some(settings) = &topic.settings {
            sizes(settings, config, &mut findings);
            times(settings, &mut findings);
            if settings
                .get("cleanup.policy")
                .is_some_and(|policy| policy.contains("compact"))
            {
                findings.warn(
                    "cleanup.policy",
                    "the topic is compacted: of the events of one key only the newest stays",
                    "set cleanup.policy=delete, unless consumers want the newest alone",
                    None,
                );
            }
        }
        if findings.is_empty() {
            findings.ok("topics", summary(topic));
        }
        report.add(findings);
    }
    let mut findings = Findings::at(format!("topics {}", config.outbox.topic));
    if details.left_out > 0 {
        findings.ok(
            "topics",
            format!("{} more were not looked at", details.left_out),
        );
    }
    if found.is_empty() {
        missing(config, &mut findings).await;
    }
    report.add(findings);
}

/// What can be said of topics that are not there yet.
async fn missing(config: &Config, findings: &mut Findings) {
    let fixed = config.outbox.topic.fixed();
    if let Some(topic) = fixed {
        // Says also when the topic is there and may not be seen.
        let described = Topics::new(config.kafka.options(), TIMEOUT)
            .describe(&[topic.to_owned()])
            .await;
        match described.as_deref() {
            Ok([TopicInfo::Present { .. }]) => {
                findings.ok("topics", format!("{topic}: there since a moment"));
                return;
            }
            Ok(_) => {}
            Err(_) => {
                if let Err(error) = described {
                    let context = Context::new(config, "look for the topic");
                    findings.failed("topics", &Failure::from_kafka(error, context));
                }
                return;
            }
        }
    }
    match (config.kafka.topics.create, fixed) {
        (true, _) => {
            may_create(
                &EventTopics::of(&config.outbox.topic).with(SAMPLE),
                "at their first event",
                config,
                findings,
            )
            .await;
        }
        (false, Some(topic)) => findings.failed(
            "topics",
            &Failure::new(
                ErrorCode::TopicMissing,
                format!("the topic {topic:?} does not exist"),
                "create it, or set `kafka.topics.create = true`",
            ),
        ),
        (false, None) => findings.ok(
            "topics",
            "none is there; each must exist before its first event",
        ),
    }
}

/// Asks the brokers whether they would create a topic.
pub(super) async fn may_create(topic: &str, when: &str, config: &Config, findings: &mut Findings) {
    let settings = TopicSettings {
        partitions: config.kafka.topics.partitions,
        replication_factor: config.kafka.topics.replication_factor,
    };
    let asked = Inspection::new(config.kafka.options(), TIMEOUT)
        .may_create(topic, settings)
        .await;
    match asked {
        Ok(()) => findings.ok("topics", format!("created {when}, which Kafka allows")),
        Err(error) => {
            let context = Context::new(config, "ask whether a topic could be created");
            findings.failed("topics", &Failure::from_kafka(error, context));
        }
    }
}

/// Replicas, and how many of them must have a record before it is acknowledged.
pub(super) fn durability(topic: &TopicDetails, brokers: usize, findings: &mut Findings) {
    if topic.without_leader > 0 {
        findings.warn(
            "leaders",
            format!(
                "{} of {} partitions have no leader",
                topic.without_leader, topic.partitions
            ),
            "wait until their brokers are back",
            None,
        );
    }
    let Some(settings) = &topic.settings else {
        findings.ok(
            "settings",
            "this client may not see them (DescribeConfigs on the topic)",
        );
        return;
    };
    let minimum = settings
        .number("min.insync.replicas")
        .and_then(|minimum| usize::try_from(minimum).ok())
        .unwrap_or(1);
    let replicas = topic.replicas;
    let what =
        format!("{replicas} replicas, of which min.insync.replicas={minimum} must have an event");
    if minimum > replicas {
        findings.fail(
            "replicas",
            format!("{what}: Kafka takes none"),
            "lower min.insync.replicas, or raise the number of replicas",
        );
    } else if topic.in_sync < minimum {
        findings.fail(
            "replicas",
            format!(
                "{what}, and {} are in sync: Kafka takes none for a partition",
                topic.in_sync
            ),
            "bring the missing brokers back",
        );
    } else if replicas > 1 && minimum == replicas {
        findings.warn(
            "replicas",
            format!("{what}: nothing is relayed while one of them is away"),
            format!("set min.insync.replicas={}", replicas - 1),
            None,
        );
    } else if minimum == 1 && brokers > 1 {
        findings.warn(
            "replicas",
            format!("{what}: an acknowledged event can be on one disk alone"),
            "3 replicas and min.insync.replicas=2 survive the loss of a broker",
            None,
        );
    }
    if settings.get("unclean.leader.election.enable") == Some("true") {
        findings.warn(
            "leaders",
            "unclean.leader.election.enable is true: acknowledged events can be lost when a broker fails",
            "set it to false",
            None,
        );
    }
}

/// A record that the producer takes and the topic refuses stops the relay.
fn sizes(settings: &Settings, config: &Config, findings: &mut Findings) {
    let producer = config.kafka.options().message_max_bytes();
    let topic = settings
        .number("max.message.bytes")
        .and_then(|bytes| u64::try_from(bytes).ok());
    if let Some(topic) = topic.filter(|topic| *topic < producer) {
        findings.warn(
            "record size",
            format!("the topic takes {topic} bytes (max.message.bytes), the producer sends up to {producer} (message.max.bytes)"),
            "raise max.message.bytes of the topic, or lower \"message.max.bytes\" in [kafka.producer]: a record in \
             between stops the relay",
            Some(ErrorCode::RecordTooLarge),
        );
    }
}

/// A record carries the time of its commit, which is long ago when a relay catches up.
fn times(settings: &Settings, findings: &mut Findings) {
    let oldest = settings.number("message.timestamp.before.max.ms");
    if let Some(oldest) = oldest.filter(|oldest| *oldest < LONGEST_ABSENCE_MS) {
        findings.warn(
            "timestamps",
            format!("Kafka refuses records that are older than {oldest} ms (message.timestamp.before.max.ms): events stay behind after a longer pause of the relay"),
            "leave message.timestamp.before.max.ms at its default",
            None,
        );
    }
}

fn summary(topic: &TopicDetails) -> String {
    let minimum = topic
        .settings
        .as_ref()
        .and_then(|settings| settings.get("min.insync.replicas"))
        .unwrap_or("?");
    format!(
        "{} partitions, {} replicas, min.insync.replicas={minimum}",
        topic.partitions, topic.replicas
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        replicas: usize,
        in_sync: usize,
        minimum: &str,
        brokers: usize,
    ) -> Vec<(&'static str, String)> {
        let topic = TopicDetails {
            topic: "t".to_owned(),
            partitions: 3,
            replicas,
            in_sync,
            without_leader: 0,
            settings: Some(Settings::from_iter([(
                "min.insync.replicas".to_owned(),
                minimum.to_owned(),
            )])),
        };
        let mut findings = Findings::at("t");
        durability(&topic, brokers, &mut findings);
        let mut report = Report::default();
        report.add(findings);
        report
            .findings
            .into_iter()
            .map(|finding| {
                (
                    finding.check,
                    format!("{:?}: {}", finding.status, finding.what),
                )
            })
            .collect()
    }

    #[test]
    fn three_replicas_of_which_two_must_answer_are_right() {
        assert!(found(3, 3, "2", 3).is_empty());
        assert!(found(3, 2, "2", 3).is_empty(), "one is away");
    }

    #[test]
    fn tells_what_cannot_be_written_from_what_is_not_durable() {
        let status = |found: Vec<(&str, String)>| {
            let [(check, text)] = &found[..] else {
                panic!("one finding: {found:?}")
            };
            assert_eq!(*check, "replicas");
            text.split_once(':').unwrap().0.to_owned()
        };
        assert_eq!(status(found(1, 1, "2", 3)), "Fail");
        assert_eq!(status(found(3, 1, "2", 3)), "Fail");
        assert_eq!(status(found(2, 2, "2", 3)), "Warn");
        assert_eq!(status(found(3, 3, "1", 3)), "Warn");
        assert_eq!(status(found(1, 1, "1", 3)), "Warn");
    }
}
