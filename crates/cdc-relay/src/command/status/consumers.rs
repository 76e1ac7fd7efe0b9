//! Consumers, endpoints and what failed: what `status` can find out by itself, whether a notifier runs or not.

use std::future::Future;
use std::time::Duration;

use cdc_kafka::{PartitionLag, TopicInfo, Topics, group_lag};
use cdc_store::{FailedEvents, Status};
use notifier::{EndpointState, Endpoints};
use ordered_lanes::PostgresLanes;
use redirect_topic::{Backlog, DeadHead, RedirectSettings, RedirectTopic};
use serde::Serialize;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Config, GroupOrdering, OrderBackend};
use crate::failure::Failure;
use crate::role::collect::group_of_collector;
use crate::role::{GroupPlan, collected, notify};

/// For all that is asked of Kafka, and of the stores: who looks wants to see what there is.
const LIMIT: Duration = Duration::from_secs(3);

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
    /// Of a group that keeps the order of its keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waiting: Option<Waiting>,
}

/// Records that wait for one of their key.
#[derive(Debug, Serialize)]
pub(super) struct Waiting {
    pub(super) records: u64,
    pub(super) keys: u64,
    /// Keys that wait for somebody to replay or discard their first record.
    pub(super) held_keys: u64,
    pub(super) oldest_seconds: f64,
}

impl Consumers {
    /// Looks for no longer than a few seconds, whoever does not answer.
    ///
    /// # Errors
    ///
    /// The configuration names groups that cannot be.
    pub(super) async fn look(config: &Config) -> Result<Self, Failure> {
        let groups = collected(config)?;
        let (open_failures, endpoints, groups) = tokio::join!(
            soon(open_failures(config)),
            soon(endpoints(config)),
            backlogs(config, &groups)
        );
        Ok(Self {
            open_failures,
            endpoints,
            groups,
        })
    }
}

/// One after the other, all together within the limit.
async fn backlogs(config: &Config, groups: &[GroupPlan]) -> Vec<GroupBacklog> {
    let until = Instant::now() + LIMIT;
    let mut backlogs = Vec::new();
    for plan in groups {
        let names = &plan.names;
        let sources: Vec<_> = names
            .sources()
            .iter()
            .map(|source| source.topic.clone())
            .collect();
        let retries: Vec<_> = names.retry_topics().map(str::to_owned).collect();
        let dead_letters = names.dead_letter_topics();
        let dead_letters: Vec<_> = dead_letters.into_iter().map(str::to_owned).collect();
        let collector = group_of_collector(names.group());
        backlogs.push(GroupBacklog {
            group: names.group().to_owned(),
            sources: behind(config, names.group(), &sources, until).await,
            retries: behind(config, &names.retry_group(), &retries, until).await,
            dead_letters: behind(config, &collector, &dead_letters, until).await,
            waiting: match plan.ordering {
                GroupOrdering::None => None,
                GroupOrdering::Key {
                    backend: OrderBackend::Lanes,
                    ..
                } => soon(waiting(config, names.group())).await,
                GroupOrdering::Key {
                    backend: OrderBackend::RedirectTopic,
                    dead_head,
                } => soon(redirected(config, names.group(), &sources, dead_head)).await,
            },
        });
    }
    backlogs
}

async fn behind(config: &Config, group: &str, topics: &[String], until: Instant) -> Option<u64> {
    let options = config.kafka.options();
    let look = group_lag(&options, group, topics, LIMIT);
    let lag = timeout_at(until, look).await.ok()?.ok()?;
    Some(lag.iter().map(PartitionLag::offsets_behind).sum())
}

async fn waiting(config: &Config, group: &str) -> Option<Waiting> {
    let options = config.at_store().postgres.options();
    let lanes = PostgresLanes::connect(&options).await.ok()?;
    let stats = lanes.stats(group).await.ok()?;
    Some(Waiting {
        records: stats.waiting_events,
        keys: stats.open_lanes,
        held_keys: stats.held_lanes,
        oldest_seconds: stats.oldest.as_secs_f64(),
    })
}

async fn redirected(
    config: &Config,
    group: &str,
    sources: &[String],
    dead_head: DeadHead,
) -> Option<Waiting> {
    let options = config.kafka.options();
    let described = Topics::new(options.clone(), LIMIT).describe(sources).await;
    let order = RedirectTopic::new(options, None, RedirectSettings::new(dead_head));
    let mut all = Backlog::default();
    for info in described.ok()? {
        if let TopicInfo::Present {
            topic, partitions, ..
        } = info
        {
            let partitions = i32::try_from(partitions).ok()?;
            all = all.and(order.look(group, &topic, partitions).await.ok()?);
        }
    }
    Some(Waiting {
        records: all.waiting_records,
        keys: all.open_keys,
        held_keys: all.held_keys,
        oldest_seconds: all.oldest.as_secs_f64(),
    })
}

async fn soon<T>(look: impl Future<Output = Option<T>>) -> Option<T> {
    timeout(LIMIT, Box::pin(look)).await.ok().flatten()
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
    let mut endpoints = Endpoints::new(&options, notify::client(config).ok()?, keys, LIMIT);
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
