//! `cdc-relay relay`.

mod shard_threads;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::serving::Serving;
use crate::admin::Roles;
use crate::cli;
use crate::config::Config;
use crate::diagnosis;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::relay::Relay;
use crate::relay_state::{RelayMetrics, RelayState, RelayStates};
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
    let serving = Serving::bind(&config).await?;
    let (relaying, states) = Relaying::of(shards, config, &serving);
    let roles = Roles {
        relay: Some(states),
        ..Roles::default()
    };
    let work = Box::pin(relaying.run(&shutdown, Threads::OnlyIfSeveral));
    serving.run(roles, &shutdown, work).await
}

/// The slots of this process, and what removes their old rows.
#[derive(Debug)]
pub(super) struct Relaying {
    relays: Vec<ShardRelay>,
    states: RelayStates,
    config: Config,
}

/// Where relays run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// One that is alone runs on the thread that drives it.
    OnlyIfSeveral,
    /// Each on a thread of its own: a relay sleeps on its thread, and others are not to wait for it.
    Always,
}

impl Relaying {
    /// One relay for each of the configurations, which are those of shards of `config`. Their counters are made here,
    /// hence what they are served by must be there.
    pub(super) fn of(shards: Vec<Config>, config: Config, _: &Serving) -> (Self, RelayStates) {
        let (relays, states): (Vec<_>, Vec<_>) = shards.into_iter().map(relay_of).unzip();
        let states = RelayStates::new(states);
        let relaying = Self {
            relays,
            states: states.clone(),
            config,
        };
        (relaying, states)
    }

    /// Relays until `shutdown` is cancelled, and removes old rows beside it.
    ///
    /// # Errors
    ///
    /// What cannot pass by itself.
    pub(super) async fn run(
        self,
        shutdown: &CancellationToken,
        threads: Threads,
    ) -> Result<(), Failure> {
        let Self {
            mut relays,
            states,
            config,
        } = self;
        let relayed = shutdown.child_token();
        let has_all = relays.len() == usize::from(config.relay.shards.count());
        let alone = match (threads, relays.len()) {
            (Threads::OnlyIfSeveral, 1) => relays.pop(),
            _ => None,
        };
        let relaying = async {
            let done = match &alone {
                Some(relay) => relay.run(shutdown).await,
                None => shard_threads::run(relays, shutdown).await,
            };
            relayed.cancel();
            done
        };
        let removing = async {
            if has_all {
                retention::run(&config, &relayed, || states.stream_only()).await;
            } else if config.outbox.retention.is_some() {
                // Another process may still have to read old rows for its shard, and nobody here knows.
                tracing::warn!("`outbox.retention` has no effect with `--shard`: old rows stay");
            }
        };
        tokio::join!(relaying, removing).0
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
