//! What keeps the order of a group's keys.

use std::time::Duration;

use recovery::Ordering;
use tokio_util::sync::CancellationToken;

use super::lanes::Lanes;
use super::redirect::Redirected;
use crate::config::{Config, GroupOrdering, OrderBackend};
use crate::failure::Failure;

/// What keeps the order of a group's keys.
#[derive(Debug)]
pub(super) enum Order {
    /// Nothing does.
    None,
    /// Lanes in PostgreSQL.
    Lanes(Lanes),
    /// Redirect topics in Kafka.
    Redirected(Redirected),
}

impl Order {
    /// What the configuration says; waits as long as PostgreSQL is away, if it is needed. `drain` is for what is begun when
    /// the process has to stop.
    ///
    /// # Errors
    ///
    /// What cannot pass by itself.
    pub(super) async fn open(
        config: &Config,
        group: &str,
        ordering: GroupOrdering,
        drain: Duration,
    ) -> Result<Self, Failure> {
        let (dead_head, backend) = match ordering {
            GroupOrdering::None => return Ok(Self::None),
            GroupOrdering::Key { dead_head, backend } => (dead_head, backend),
        };
        Ok(match backend {
            OrderBackend::Lanes => Self::Lanes(Lanes::open(config, group, dead_head, drain).await?),
            OrderBackend::RedirectTopic => {
                Self::Redirected(Redirected::new(config, group, dead_head, drain))
            }
        })
    }

    /// For the runner.
    pub(super) fn ordering(&self) -> Ordering {
        match self {
            Self::None => Ordering::None,
            Self::Lanes(lanes) => lanes.ordering(),
            Self::Redirected(redirected) => redirected.ordering(),
        }
    }

    /// Keeps the metrics up to date until `ended` is cancelled.
    pub(super) async fn watch(&self, config: &Config, ended: &CancellationToken) {
        match self {
            Self::None => {}
            Self::Lanes(lanes) => lanes.watch(config, ended).await,
            Self::Redirected(redirected) => redirected.watch(ended).await,
        }
    }
}
