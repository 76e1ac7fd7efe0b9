//! The redirect topics of a group that keeps the order of its keys in Kafka alone.

use std::sync::Arc;
use std::time::Duration;

use recovery::Ordering;
use redirect_topic::{Creation, DeadHead, RedirectSettings, RedirectTopic, show_metrics};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How often the metrics are renewed.
const SHOW_EVERY: Duration = Duration::from_secs(5);

/// The redirect topics of a group.
#[derive(Debug)]
pub(super) struct Redirected {
    group: String,
    order: Arc<RedirectTopic>,
}

impl Redirected {
    /// Connects to nothing yet. `drain` is for what is begun when the process has to stop.
    pub(super) fn new(config: &Config, group: &str, dead_head: DeadHead, drain: Duration) -> Self {
        let settings = RedirectSettings {
            drain,
            ..RedirectSettings::new(dead_head)
        };
        let topics = &config.kafka.topics;
        let creation = topics.create.then_some(Creation {
            replication_factor: topics.replication_factor,
        });
        let order = RedirectTopic::new(config.kafka.options(), creation, settings);
        Self {
            group: group.to_owned(),
            order: Arc::new(order),
        }
    }

    /// For the runner.
    pub(super) fn ordering(&self) -> Ordering {
        let order: Arc<RedirectTopic> = Arc::clone(&self.order);
        Ordering::Key(order)
    }

    /// Keeps the metrics up to date until `ended` is cancelled.
    pub(super) async fn watch(&self, ended: &CancellationToken) {
        loop {
            show_metrics(&self.group, &self.order.backlog(&self.group));
            tokio::select! {
                () = tokio::time::sleep(SHOW_EVERY) => {}
                () = ended.cancelled() => return,
            }
        }
    }
}
