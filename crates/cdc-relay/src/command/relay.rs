//! `cdc-relay relay`.

mod shard_threads;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::admin::{AdminServer, RelayState, RelayStates};
use crate::cli;
use crate::config::Config;
use crate::diagnosis;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::relay::{Relay, RelayMetrics};
use crate::retention;
use crate::shard::Shard;

/// Streams the outbox into Kafka until `shutdown` is cancelled.
///
/// # Errors
///
/// What cannot pass by itself, with what to do about it; the admin server's address. With several shards, the first of
/// them that ends ends the others.
pub(crate) async fn run(
    arguments: &cli::Relay,
    config: Config,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let shards = match arguments.shard {
        Some(index) => vec![one_shard(index, &config)?],
        None => config.shards(),
    };
    let admin = match &config.admin.listen {
        Some(address) => Some(AdminServer::bind(address).await?),
        None => None,
    };
    let (relays, states): (Vec<_>, Vec<_>) = shards.into_iter().map(relay_of).unzip();
    let states = RelayStates::new(states);
    let relaying = relay_and_remove(relays, &config, &states, &shutdown);
    let Some(admin) = admin else {
        return relaying.await;
    };
    tracing::info!(address = %admin.address(), "serving /metrics, /healthz, /readyz and /status");
    // Served until the relay has drained: a stopping relay can still be asked.
    let served = CancellationToken::new();
    let serving = admin.serve(states.clone(), served.clone());
    tokio::pin!(serving, relaying);
    tokio::select! {
        done = &mut relaying => {
            served.cancel();
            done.and(serving.await)
        }
        failed = &mut serving => {
            shutdown.cancel();
            relaying.await.and(failed)
        }
    }
}

fn one_shard(index: u8, config: &Config) -> Result<Config, Failure> {
    let shards = config.relay.shards;
    let shard = Shard::new(index, shards).ok_or_else(|| {
        Failure::new(
            ErrorCode::Argument,
            format!("there is no shard {index}: `relay.shards` is {shards}, and they count from 0"),
            "correct `--shard` or `relay.shards`",
        )
    })?;
    Ok(config.of_shard(shard))
}

/// One relay, and what it says of itself.
fn relay_of(config: Config) -> (ShardRelay, (Option<Shard>, Arc<RelayState>)) {
    let shard = config.relay.shard;
    let metrics = RelayMetrics::new(shard);
    let wire_timeout = config.relay.wire_timeout.get();
    let state = Arc::new(RelayState::new(wire_timeout, metrics.clone()));
    let relay = Relay::new(config.clone(), Arc::clone(&state), metrics);
    (ShardRelay { config, relay }, (shard, state))
}

/// One slot of this process.
#[derive(Debug)]
struct ShardRelay {
    config: Config,
    relay: Relay,
}

impl ShardRelay {
    async fn run(&self, shutdown: &CancellationToken) -> Result<(), Failure> {
        match Box::pin(self.relay.run(shutdown)).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(diagnosis::refine(failure, &self.config).await),
        }
    }
}

/// Relays, and removes old rows beside it for as long as it does.
async fn relay_and_remove(
    relays: Vec<ShardRelay>,
    config: &Config,
    states: &RelayStates,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let relayed = shutdown.child_token();
    let has_all = relays.len() == usize::from(config.relay.shards.count());
    let relaying = async {
        let done = match <[ShardRelay; 1]>::try_from(relays) {
            Ok([relay]) => relay.run(shutdown).await,
            Err(relays) => shard_threads::run(relays, shutdown).await,
        };
        relayed.cancel();
        done
    };
    let removing = async {
        if has_all {
            retention::run(config, &relayed, || states.stream_only()).await;
        } else if config.outbox.retention.is_some() {
            // Another process may still have to read old rows for its shard, and nobody here knows.
            tracing::warn!("`outbox.retention` has no effect with `--shard`: old rows stay");
        }
    };
    tokio::join!(relaying, removing).0
}
