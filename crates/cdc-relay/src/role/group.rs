//! Consumer groups, as the configuration names them.

use recovery::{Creation, Names, Settings};

use crate::config::{Config, ConsumerConfig, GroupOrdering, RetryConfig};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// A consumer group: how it is run, and what its topics are called.
#[derive(Debug, Clone)]
pub(crate) struct GroupPlan {
    /// Its ordering is that of a runner; what is configured stands in `ordering`.
    pub(crate) settings: Settings,
    pub(crate) names: Names,
    pub(crate) ordering: GroupOrdering,
}

impl GroupPlan {
    /// The notifier's group.
    ///
    /// # Errors
    ///
    /// There are no topics for it, or topics cannot be called so.
    pub(crate) fn of_notifier(config: &Config) -> Result<Self, Failure> {
        let notify = &config.notify;
        if notify.topics.is_empty() {
            return Err(Failure::new(
                ErrorCode::MissingSetting,
                "there is nothing to notify of: `notify.topics` names no topic",
                "name the topics with the events, for example notify.topics = [\"outbox.event.post\"]",
            ));
        }
        let consumer = config.recover.of_group(&notify.group);
        let mut plan = Self::new(config, &notify.group, notify.topics.clone(), consumer)?;
        plan.settings.concurrency = consumer
            .and_then(|consumer| consumer.concurrency)
            .unwrap_or_else(|| notify.concurrency.saturating_mul(FAN_OUT));
        Ok(plan)
    }

    fn new(
        config: &Config,
        group: &str,
        topics: Vec<String>,
        consumer: Option<&ConsumerConfig>,
    ) -> Result<Self, Failure> {
        let default = RetryConfig::default();
        let retry = consumer.map_or(&default, |consumer| &consumer.retry);
        let plan = retry.plan().map_err(|error| refused(group, error))?;
        let topics_config = &config.kafka.topics;
        let mut settings = Settings {
            creation: topics_config.create.then(|| Creation {
                replication_factor: topics_config.replication_factor,
                ..Creation::default()
            }),
            ..Settings::new(group, topics, plan)
        };
        if let Some(consumer) = consumer {
            settings.retry_topic = consumer.retry_topic.clone();
            settings.dead_letter = consumer.dead_letter.clone();
            settings.instance_id.clone_from(&consumer.instance_id);
            settings.concurrency = consumer.concurrency.unwrap_or(settings.concurrency);
        }
        let names = settings.names().map_err(|error| refused(group, error))?;
        let ordering = consumer.map_or(GroupOrdering::None, ConsumerConfig::ordering);
        Ok(Self {
            settings,
            names,
            ordering,
        })
    }
}

/// Records that wait for their endpoints cost little: enough of them keep every request slot busy.
const FAN_OUT: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(15);

/// The groups whose dead letters are collected: those of `[[recover.consumer]]`, and the notifier's.
///
/// # Errors
///
/// One that reads no topic, topics that cannot be called so, or one that is to keep an order and does not run here.
pub(crate) fn collected(config: &Config) -> Result<Vec<GroupPlan>, Failure> {
    let mut groups = Vec::new();
    if !config.notify.topics.is_empty() {
        groups.push(GroupPlan::of_notifier(config)?);
    }
    for consumer in &config.recover.consumer {
        if consumer.group == config.notify.group && !config.notify.topics.is_empty() {
            if consumer.topics.is_empty() || consumer.topics == config.notify.topics {
                continue;
            }
            return Err(Failure::new(
                ErrorCode::InvalidValue,
                format!(
                    "`recover.consumer` has other topics for the group {:?} than `notify.topics`",
                    consumer.group
                ),
                "leave its topics out: the notifier's group reads those of [notify]",
            ));
        }
        if consumer.ordering() != GroupOrdering::None {
            return Err(Failure::new(
                ErrorCode::InvalidValue,
                format!(
                    "`recover.consumer` has ordering = \"key\" for the group {:?}, which does not run here",
                    consumer.group
                ),
                "leave `ordering` out: the program that runs the group decides it",
            ));
        }
        if consumer.topics.is_empty() {
            return Err(Failure::new(
                ErrorCode::MissingSetting,
                format!(
                    "`recover.consumer` names the group {:?}, but none of its topics",
                    consumer.group
                ),
                "add topics = [\"…\"], those that the group reads",
            ));
        }
        groups.push(GroupPlan::new(
            config,
            &consumer.group,
            consumer.topics.clone(),
            Some(consumer),
        )?);
    }
    Ok(groups)
}

fn refused(group: &str, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(
        ErrorCode::InvalidValue,
        format!("the consumer group {group:?} cannot be run as it is configured"),
        "correct [[recover.consumer]] or [notify]; config/default.toml documents every key",
    )
    .caused_by(error)
}
