//! What waits for an event that is given up, in a redirect topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cdc_kafka::{TopicInfo, Topics};
use cdc_store::{FailedEventId, FailedEvents, Origin};
use redirect_topic::{DeadHead, RedirectSettings, RedirectTopic, redirect_topic};

use super::told;
use crate::config::{Config, ConsumerConfig, GroupOrdering, OrderBackend};
use crate::failure::Failure;

/// For one question to the cluster.
const QUESTION: Duration = Duration::from_secs(10);

/// Tells the owners of redirect topics that these are not waited for any longer. What waits in lanes needs no word: the
/// database does it with the event.
///
/// Whoever runs another group decides where its records wait, and that need not be configured here: it is seen by the topic.
///
/// # Errors
///
/// The store or Kafka does not do it. It may be done again.
pub(super) async fn end_holds(
    ids: &[FailedEventId],
    store: &mut FailedEvents,
    config: &Config,
) -> Result<(), Failure> {
    let origins = store.origins(ids).await.map_err(told(config))?;
    let mut by_topic = BTreeMap::<String, Vec<_>>::new();
    for (_, origin) in origins {
        if let Origin::Consumer {
            group,
            record,
            part,
        } = origin
            && may_be_redirected(&group, config)
        {
            let topic = redirect_topic(&group, &record.topic);
            by_topic
                .entry(topic)
                .or_default()
                .push((group, record, part));
        }
    }
    if by_topic.is_empty() {
        return Ok(());
    }
    let options = config.kafka.options();
    let names: Vec<String> = by_topic.keys().cloned().collect();
    let described = Topics::new(options.clone(), QUESTION)
        .describe(&names)
        .await;
    let described = described.map_err(|error| Failure::from_consumer(error, config))?;
    let present = described.into_iter().filter_map(|info| match info {
        TopicInfo::Present { topic, .. } => Some(topic),
        TopicInfo::Missing { .. } => None,
    });
    let present: BTreeSet<String> = present.collect();
    let order = RedirectTopic::new(options, None, RedirectSettings::new(DeadHead::Hold));
    for (topic, held) in by_topic {
        if !present.contains(&topic) {
            continue;
        }
        for (group, record, part) in held {
            let discarded = order.discard(&group, &record, part.as_ref()).await;
            discarded.map_err(|error| Failure::from_redirect(error, config))?;
        }
    }
    Ok(())
}

/// Where the notifier's records wait is configured here.
fn may_be_redirected(group: &str, config: &Config) -> bool {
    if group != config.notify.group {
        return true;
    }
    let consumer = config.recover.of_group(group);
    matches!(
        consumer.map(ConsumerConfig::ordering),
        Some(GroupOrdering::Key {
            backend: OrderBackend::RedirectTopic,
            ..
        })
    )
}
