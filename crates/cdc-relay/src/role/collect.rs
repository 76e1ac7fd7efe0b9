//! The collector: dead-letter topics → the store of failed events, and who is told of it.

mod reading;

use std::sync::Arc;

use cdc_kafka::ConsumerSettings;
use dead_letters::{AlertPlan, Alerts, Ingest, ReplayEntries, WebhookSink};
use recovery::Names;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use webhook::{Client, Format, Guard, GuardSettings, Network};

use self::reading::{Ended, Reading};
use super::{CollectState, GroupPlan, collected};
use crate::config::{AlertConfig, Config};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

const EVERY_PORT: &str = "1-65535";

/// Where replays enter, of each group that is known: groups may share a dead-letter topic, whose letters are then read for
/// each of them.
#[derive(Debug, Clone)]
pub(super) struct Entries(Arc<[Names]>);

impl FromIterator<Names> for Entries {
    fn from_iter<I: IntoIterator<Item = Names>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl ReplayEntries for Entries {
    fn entry(&self, group: &str, topic: &str) -> Option<String> {
        let names = self.0.iter().find(|names| names.group() == group)?;
        names.replay_entry(topic).map(str::to_owned)
    }
}

/// Collects the dead letters of every group that the configuration names until `shutdown` is cancelled.
///
/// # Errors
///
/// There is nothing to collect; Kafka refuses for good.
pub(crate) async fn run(
    config: &Config,
    state: &Arc<CollectState>,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let groups = collected(config)?;
    if groups.is_empty() {
        return Err(Failure::new(
            ErrorCode::MissingSetting,
            "there is nothing to recover: neither `notify.topics` nor [[recover.consumer]] names a group",
            "name the groups whose dead letters are to be collected in [[recover.consumer]]",
        ));
    }
    let store = config.at_store().postgres.options();
    let sink = alert_sink(config)?;
    let entries: Entries = groups.iter().map(|group| group.names.clone()).collect();
    let mut tasks = JoinSet::new();
    let stop = shutdown.child_token();
    for GroupPlan { names, .. } in &groups {
        let (ingest, writer) = Ingest::new(store.clone(), names.group(), entries.clone());
        let topics: Vec<String> = names
            .dead_letter_topics()
            .into_iter()
            .map(str::to_owned)
            .collect();
        tracing::info!(group = names.group(), ?topics, "collecting dead letters");
        let settings = ConsumerSettings::new(group_of_collector(names.group()), topics);
        let reading = Reading::start(
            &config.kafka.options(),
            &settings,
            ingest,
            Arc::clone(state),
        )
        .map_err(|error| Failure::from_consumer(error, config))?;
        let stop = stop.clone();
        tasks.spawn(async move {
            let (read, ()) = tokio::join!(reading.run(stop), writer.run());
            read
        });
    }
    if let Some(sink) = sink {
        let plan = AlertPlan {
            window: config.recover.alert.window.get(),
            ..AlertPlan::default()
        };
        let (alerts, stop) = (Alerts::new(store, plan, sink), stop.clone());
        tasks.spawn(async move {
            Box::pin(alerts.run(stop)).await;
            Ok(())
        });
    }
    let mut first = Ok(());
    while let Some(ended) = tasks.join_next().await {
        // The first that ends ends the others: none of them ends by itself.
        stop.cancel();
        let panicked = |error| Failure::internal("a task ended in a panic").caused_by(error);
        let ended = ended.map_err(panicked).and_then(|read| {
            read.map_err(|ended| match ended {
                Ended::Kafka(error) => Failure::from_consumer(error, config),
                Ended::Panicked(error) => panicked(error),
            })
        });
        first = first.and(ended);
    }
    first
}

/// The group that reads dead letters of `group`.
pub(crate) fn group_of_collector(group: &str) -> String {
    format!("{group}.DLT")
}

/// Where people are told, if anywhere.
///
/// # Errors
///
/// The URL or the format cannot be used.
pub(super) fn alert_sink(config: &Config) -> Result<Option<WebhookSink>, Failure> {
    let AlertConfig {
        webhook: url,
        format,
        ..
    } = &config.recover.alert;
    if url.is_empty() {
        return Ok(None);
    }
    let unusable = |error: Box<dyn std::error::Error + Send + Sync>| {
        Failure::new(
            ErrorCode::InvalidValue,
            "the value of `recover.alert.webhook` cannot be used",
            "give the URL of an incoming webhook, and its kind in `recover.alert.format`",
        )
        .caused_by(error)
    };
    let format = Format::parse(format, None).map_err(|error| unusable(error.into()))?;
    // The operator's own choice, unlike the URLs of endpoints: it may well be inside.
    let everywhere = ["0.0.0.0/0", "::/0"]
        .iter()
        .filter_map(|text| text.parse::<Network>().ok());
    let guard = Guard::new(GuardSettings {
        allow: everywhere.collect(),
        ports: EVERY_PORT.parse().unwrap_or_default(),
        ..GuardSettings::default()
    });
    let client = Client::new(webhook::Settings {
        guard,
        ..webhook::Settings::default()
    });
    let client = client.map_err(|error| unusable(error.into()))?;
    let sink = WebhookSink::new(client, url, format).map_err(|error| unusable(error.into()))?;
    Ok(Some(sink))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use recovery::{BlockingRetry, RetryPlan, Settings};

    use super::*;

    #[test]
    fn a_replay_enters_where_its_own_group_reads_whoever_collects_the_letter() {
        let names = |group: &str| {
            let plan = RetryPlan::new(BlockingRetry::None, vec![Duration::from_secs(1)]).unwrap();
            Settings::new(group, vec!["orders".into()], plan)
                .names()
                .unwrap()
        };
        let entries: Entries = [names("billing"), names("shipping")].into_iter().collect();
        let entry = |group, topic| entries.entry(group, topic);
        assert_eq!(
            entry("billing", "orders").as_deref(),
            Some("orders.billing.retry-1")
        );
        assert_eq!(
            entry("shipping", "orders").as_deref(),
            Some("orders.shipping.retry-1")
        );
        assert_eq!(entry("billing", "users"), None);
        assert_eq!(entry("nobody", "orders"), None);
    }
}
