//! The Kafka cluster.

mod checkpoint;
mod topics;
mod transactions;

use std::time::Duration;

use cdc_kafka::{ClusterDetails, Inspection, Topics};
use cdc_outbox::TopicTemplate;

use super::finding::{Findings, Report};
use crate::command::init::checkpoint_topic;
use crate::config::Config;
use crate::failure::{Context, Failure};

/// For each question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Topics that are looked at; there may be one for each kind of aggregate.
const MOST_TOPICS: usize = 100;
/// Where Kafka keeps its transactions.
const TRANSACTION_STATE: &str = "__transaction_state";

pub(super) async fn check(config: &Config, report: &mut Report) {
    let mut findings = Findings::at(format!("Kafka {}", config.kafka.brokers));
    let details = cluster(config, &mut findings).await;
    if let Some(details) = &details {
        brokers(details, &mut findings);
        transactions::check(details, &mut findings);
        findings.ok(
            "access",
            "whether records may be written shows only in writing, so it was not tried",
        );
    }
    report.add(findings);
    if let Some(details) = &details {
        report.add(checkpoint::check(details, config).await);
        topics::check(details, config, report).await;
    }
}

async fn cluster(config: &Config, findings: &mut Findings) -> Option<ClusterDetails> {
    let told = |error, doing| Failure::from_kafka(error, Context::new(config, doing));
    // Says more about a cluster that cannot be reached.
    let topics = Topics::new(config.kafka.options(), TIMEOUT);
    match topics.ping().await {
        Ok(cluster) => findings.ok("Kafka", format!("brokers: {}", cluster.brokers.join(", "))),
        Err(error) => {
            findings.failed("Kafka", &told(error, "ask Kafka for its brokers"));
            return None;
        }
    }
    let events = EventTopics::of(&config.outbox.topic);
    let checkpoint = checkpoint_topic(config).to_owned();
    let wanted =
        move |name: &str| events.include(name) || name == checkpoint || name == TRANSACTION_STATE;
    let inspection = Inspection::new(config.kafka.options(), TIMEOUT);
    match inspection.look(wanted, MOST_TOPICS).await {
        Ok(details) => Some(details),
        Err(error) => {
            findings.failed("Kafka", &told(error, "ask Kafka for its settings"));
            None
        }
    }
}

fn brokers(details: &ClusterDetails, findings: &mut Findings) {
    if details.brokers == 1 {
        findings.warn(
            "brokers",
            "there is one: while it is away nothing is relayed, and what its disk loses is lost",
            "run at least three, with replication.factor=3 and min.insync.replicas=2, where events matter",
            None,
        );
    } else {
        findings.ok("brokers", details.brokers.to_string());
    }
    let Some(settings) = &details.broker else {
        findings.ok(
            "settings",
            "this client may not see the brokers' settings (DescribeConfigs on the cluster)",
        );
        return;
    };
    if settings.get("unclean.leader.election.enable") == Some("true") {
        findings.warn(
            "leaders",
            "unclean.leader.election.enable is true: acknowledged events can be lost when a broker fails",
            "set it to false",
            None,
        );
    }
}

/// The topics that the template can lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EventTopics {
    before: String,
    /// `None` for a single topic, which is `before`.
    after: Option<String>,
}

impl EventTopics {
    /// Of a template with references such as `${routedByValue}` or `$1`; what stands between two of them may be
    /// anything.
    fn of(template: &TopicTemplate) -> Self {
        let text = template.to_string();
        let Some((before, _)) = text.split_once('$') else {
            return Self {
                before: text,
                after: None,
            };
        };
        let last = text.rsplit('$').next().unwrap_or_default();
        let after = match last.strip_prefix('{') {
            Some(named) => named.split_once('}').map_or("", |(_, after)| after),
            None => last.trim_start_matches(|letter: char| letter.is_ascii_digit()),
        };
        Self {
            before: before.to_owned(),
            after: Some(after.to_owned()),
        }
    }

    /// One of them, with `routed` in place of the references.
    fn with(&self, routed: &str) -> String {
        match &self.after {
            Some(after) => format!("{}{routed}{after}", self.before),
            None => self.before.clone(),
        }
    }

    /// A template without any text of its own leads everywhere, which says nothing of a topic.
    fn include(&self, name: &str) -> bool {
        match &self.after {
            None => name == self.before,
            Some(after) if self.before.is_empty() && after.is_empty() => false,
            Some(after) => {
                name.len() > self.before.len() + after.len()
                    && name.starts_with(&self.before)
                    && name.ends_with(after)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(template: &str, name: &str) -> bool {
        EventTopics::of(&template.parse().unwrap()).include(name)
    }

    #[test]
    fn knows_the_topics_of_a_template() {
        assert!(include(
            "outbox.event.${routedByValue}",
            "outbox.event.order"
        ));
        assert!(!include("outbox.event.${routedByValue}", "outbox.event."));
        assert!(include("a-${routedByValue}-z", "a-b-z"));
        assert!(!include("a-${routedByValue}-z", "a-z"));
        assert!(include("events", "events"));
        assert!(!include("events", "events2"));
        assert!(!include("${routedByValue}", "anything"));
        let topics = EventTopics::of(&"a-${routedByValue}-z".parse().unwrap());
        assert_eq!(topics.with("b"), "a-b-z");
    }
}
