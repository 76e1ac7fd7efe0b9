//! `cdc-relay run`: every role that the configuration names, in one process.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::relay::{Relaying, Threads};
use super::serving::Serving;
use crate::admin::Roles;
use crate::config::Config;
use crate::failure::Failure;
use crate::role::{CollectState, NotifyState, collect, collected, notify};

/// Runs until `shutdown` is cancelled, or until one of the roles ends, which ends the others in order.
///
/// # Errors
///
/// Why the first of them ended; the admin server's address.
pub(super) async fn run(config: Config, shutdown: CancellationToken) -> Result<(), Failure> {
    let serving = Serving::bind(&config).await?;
    let (relaying, states) = Relaying::of(config.shards(), config.clone(), &serving);
    let notify = (!config.notify.topics.is_empty()).then(|| Arc::new(NotifyState::default()));
    let collects = !collected(&config)?.is_empty();
    let collect = collects.then(|| Arc::new(CollectState::default()));
    let roles = Roles {
        relay: Some(states),
        notify: notify.clone(),
        collect: collect.clone(),
    };
    let stop = shutdown.child_token();
    // None of them ends by itself: the first that does ends the others.
    let ends = |ended: Result<(), Failure>| {
        stop.cancel();
        ended
    };
    let notifying = async {
        match &notify {
            Some(state) => ends(Box::pin(notify::run(&config, state, &stop)).await),
            None => Ok(()),
        }
    };
    let collecting = async {
        match &collect {
            Some(state) => ends(collect::run(&config, state, &stop).await),
            None => Ok(()),
        }
    };
    let work = async {
        let relaying = async { ends(relaying.run(&stop, Threads::Always).await) };
        let (relayed, notified, collected) = tokio::join!(relaying, notifying, collecting);
        relayed.and(notified).and(collected)
    };
    serving.run(roles, &shutdown, Box::pin(work)).await
}
