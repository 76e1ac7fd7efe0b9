//! `cdc-relay relay`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::admin::{AdminServer, RelayState};
use crate::config::Config;
use crate::failure::Failure;
use crate::relay::{Relay, RelayMetrics};
use crate::retention;

/// Streams the outbox into Kafka until `shutdown` is cancelled.
///
/// # Errors
///
/// What cannot pass by itself, with what to do about it; the admin server's address.
pub(crate) async fn run(config: Config, shutdown: CancellationToken) -> Result<(), Failure> {
    let admin = match &config.admin.listen {
        Some(address) => Some(AdminServer::bind(address).await?),
        None => None,
    };
    let metrics = RelayMetrics::new();
    let state = Arc::new(RelayState::new(
        config.relay.wire_timeout.get(),
        metrics.clone(),
    ));
    let relay = Relay::new(config.clone(), Arc::clone(&state), metrics);
    let Some(admin) = admin else {
        return relay_and_remove(&relay, &config, &state, &shutdown).await;
    };
    tracing::info!(address = %admin.address(), "serving /metrics, /healthz, /readyz and /status");
    // Served until the relay has drained: a stopping relay can still be asked.
    let served = CancellationToken::new();
    let serving = admin.serve(Arc::clone(&state), served.clone());
    tokio::pin!(serving);
    tokio::select! {
        done = relay_and_remove(&relay, &config, &state, &shutdown) => {
            served.cancel();
            done.and(serving.await)
        }
        failed = &mut serving => failed,
    }
}

/// Relays, and removes old rows beside it for as long as it does.
async fn relay_and_remove(
    relay: &Relay,
    config: &Config,
    state: &RelayState,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let relayed = shutdown.child_token();
    let relaying = async {
        let done = relay.run(shutdown).await;
        relayed.cancel();
        done
    };
    let removing = retention::run(config, &relayed, || state.streams_only());
    tokio::join!(relaying, removing).0
}
