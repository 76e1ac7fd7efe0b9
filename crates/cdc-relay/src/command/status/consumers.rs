//! Consumers, endpoints and what failed: what `status` can find out by itself, whether a notifier runs or not.

use std::time::Duration;

use cdc_kafka::{PartitionLag, group_lag};
use cdc_store::{FailedEvents, Status};
use notifier::{EndpointState, Endpoints};
use serde::Serialize;

use crate::config::Config;
use crate::role::{GroupPlan, collected, notify};

/// For one question to Kafka.
const LIMIT: Duration = Duration::from_secs(3);

/// For one statement.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);

/// What cannot be found out is `None`: the tables or topics are not there yet, or nobody answers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Consumers {
    /// Failed events that nobody has dealt with.
    pub(super) open_failures: Option<u64>,
    pub(super) endpoints: Option<EndpointCounts>,
    /// One for each group that the configuration names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<GroupBacklog>,
}

#[derive(Debug, Serialize)]
pub(super) struct EndpointCounts {
    pub(super) enabled: usize,
    pub(super) disabled: usize,
    pub(super) failing: usize,
}

/// Records that a group has not dealt with, about: marks of transactions count too.
#[derive(Debug, Serialize)]
pub(super) struct GroupBacklog {
    pub(super) group: String,
    pub(super) sources: Option<u64>,
    pub(super) retries: Option<u64>,
    /// Dead letters that are not in the store yet.
    pub(super) dead_letters: Option<u64>,
}

impl Consumers {
    pub(super) async fn look(config: &Config) -> Self {
        let groups = collected(config).unwrap_or_default();
        let mut consumers = Self {
            open_failures: open_failures(config).await,
            endpoints: endpoints(config).await,
            groups: Vec::new(),
        };
        for GroupPlan { names, .. } in &groups {
            let sources: Vec<_> = names
                .sources()
                .iter()
                .map(|source| source.topic.clone())
                .collect();
            let retries: Vec<_> = names.retry_topics().map(str::to_owned).collect();
            let dead: Vec<_> = names
                .dead_letter_topics()
                .into_iter()
                .map(str::to_owned)
                .collect();
            let collector = crate::role::collect::group_of_collector(names.group());
            consumers.groups.push(GroupBacklog {
                group: names.group().to_owned(),
                sources: behind(config, names.group(), &sources).await,
                retries: behind(config, &names.retry_group(), &retries).await,
                dead_letters: behind(config, &collector, &dead).await,
            });
        }
        consumers
    }
}

async fn behind(config: &Config, group: &str, topics: &[String]) -> Option<u64> {
    let lag = group_lag(&config.kafka.options(), group, topics, LIMIT)
        .await
        .ok()?;
    Some(lag.iter().map(PartitionLag::offsets_behind).sum())
}

async fn open_failures(config: &Config) -> Option<u64> {
    let options = config.at_store().postgres.options();
    let mut store = FailedEvents::connect(&options).await.ok()?;
    let stats = store.stats(1).await.ok()?;
    let open = stats
        .statuses
        .iter()
        .find(|count| count.status == Status::Open);
    Some(open.map_or(0, |count| count.events))
}

async fn endpoints(config: &Config) -> Option<EndpointCounts> {
    let options = config.at_store().postgres.options();
    let keys = config.notify.secret_keys().ok()?;
    let mut endpoints = Endpoints::new(
        &options,
        notify::client(config).ok()?,
        keys,
        STATEMENT_LIMIT,
    );
    let all = endpoints.list().await.ok()?;
    let enabled = all
        .iter()
        .filter(|endpoint| endpoint.state == EndpointState::Enabled);
    Some(EndpointCounts {
        disabled: all.len() - enabled.clone().count(),
        failing: enabled
            .clone()
            .filter(|endpoint| endpoint.failing_since.is_some())
            .count(),
        enabled: enabled.count(),
    })
}
