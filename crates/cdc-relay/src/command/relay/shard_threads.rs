//! Several shards in one process, each on a thread with a runtime of its own: the task that owns a wire drives its own
//! I/O, and the wires do not wait for each other.

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ShardRelay;
use crate::failure::Failure;

/// Relays until `shutdown` is cancelled. The first shard that ends ends the others, in order.
///
/// # Errors
///
/// Why the first of them ended.
pub(super) async fn run(
    relays: Vec<ShardRelay>,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    // Threads cannot be cancelled: nobody is to go on relaying when this is dropped.
    let _told = shutdown.clone().drop_guard();
    let mut threads = JoinSet::new();
    for relay in relays {
        let shutdown = shutdown.clone();
        threads.spawn_blocking(move || relay_on_this_thread(&relay, &shutdown));
    }
    let mut first = Ok(());
    while let Some(ended) = threads.join_next().await {
        shutdown.cancel();
        // A panic has been reported by its hook when it arrives here.
        let ended = ended.unwrap_or_else(|error| {
            Err(Failure::internal("a shard ended in a panic").caused_by(error))
        });
        first = first.and(ended);
    }
    first
}

fn relay_on_this_thread(relay: &ShardRelay, shutdown: &CancellationToken) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("a runtime cannot be started").caused_by(error))?;
    runtime.block_on(relay.run(shutdown))
}
