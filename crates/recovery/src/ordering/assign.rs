//! A partition in ordered mode, from its assignment on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    AssignedPartition, Backoff, KeyOrder, OrderDisposition, OrderError, PartitionOrder,
    random_fraction,
};
use cdc_kafka::{Offset, OffsetStore, PartitionReader};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Ordering;
use crate::error::Error;
use crate::plan::Tier;
use crate::topology::{Topology, causes};
use crate::work::Order;

/// One call of whoever keeps the order. It may wait for what an earlier owner is doing, and read all that waits.
const CALL: Duration = Duration::from_secs(60);

/// How often what is remembered is compared with what is committed.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// A partition that is about to be read.
pub(crate) struct Assigned<'a> {
    pub(crate) group: &'a str,
    pub(crate) reader: &'a PartitionReader,
    /// Of the retry topic that it belongs to; `None` is a source.
    pub(crate) tier: Option<Tier>,
    pub(crate) topology: &'a Topology,
}

/// What order means for the records of a partition. Nothing of it may be read before this returns; `None` when it was
/// told to stop.
///
/// # Errors
///
/// What cannot pass by itself.
pub(crate) async fn assign(
    ordering: &Ordering,
    assigned: &Assigned<'_>,
    stop: &CancellationToken,
) -> Result<Option<Order>, Error> {
    match (ordering, assigned.tier) {
        (Ordering::None, _) => Ok(Some(Order::Loose)),
        (Ordering::Key(order), Some(_)) => Ok(Some(Order::Replays(Arc::clone(order)))),
        (Ordering::Key(order), None) => {
            tokio::select! {
                biased;
                () = stop.cancelled() => Ok(None),
                taken = take_over(order.as_ref(), assigned) => Ok(Some(Order::Key(taken?))),
            }
        }
    }
}

/// Works on a partition whose order is kept, and gives it back when that has ended. Dropping it gives it back at once.
pub(crate) async fn keeping<T>(
    order: Arc<dyn PartitionOrder>,
    offsets: OffsetStore,
    working: impl Future<Output = T>,
) -> T {
    let ended = tokio::select! {
        ended = working => ended,
        never = tidy(order.as_ref(), offsets) => match never {},
    };
    order.release().await;
    ended
}

/// Lets what is remembered of a partition go when it is committed. Cancellation safe.
async fn tidy(order: &dyn PartitionOrder, offsets: OffsetStore) -> Infallible {
    let mut done = None;
    loop {
        if let Some(committed) = offsets.committed().filter(|offset| done != Some(*offset)) {
            match order.forget(committed.0).await {
                Ok(()) => done = Some(committed),
                // The partition is given to somebody else, or the store is away: it is for later.
                Err(error) => {
                    tracing::debug!(
                        error = causes(&error),
                        "what is dealt with stays remembered for now"
                    );
                }
            }
        }
        sleep(TIDY_EVERY).await;
    }
}

/// Tries until it is done.
async fn take_over(
    order: &dyn KeyOrder,
    assigned: &Assigned<'_>,
) -> Result<Arc<dyn PartitionOrder>, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    loop {
        let taken = match timeout(CALL, taken(order, assigned)).await {
            Ok(taken) => taken,
            Err(_) => Err(Trouble::Silence),
        };
        let trouble = match taken {
            Ok(partition) => return Ok(partition),
            Err(Trouble::Order(error)) if error.disposition == OrderDisposition::Permanent => {
                return Err(Error::Order(error));
            }
            Err(trouble) => trouble,
        };
        if backoff.failures() == 0 {
            let partition = assigned.reader.topic_partition();
            tracing::warn!(%partition, error = causes(&trouble), "not read until it is known which of its keys wait");
        }
        sleep(backoff.next_delay(random_fraction())).await;
    }
}

/// Why a partition is not taken over yet.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("there is no answer")]
    Silence,
    #[error(transparent)]
    Topic(Error),
}

async fn taken(
    order: &dyn KeyOrder,
    assigned: &Assigned<'_>,
) -> Result<Arc<dyn PartitionOrder>, Trouble> {
    let reader = assigned.reader;
    let partition_count = assigned
        .topology
        .partitions_of(reader.topic())
        .await
        .map_err(Trouble::Topic)?;
    let partition = AssignedPartition {
        group: assigned.group.to_owned(),
        topic: reader.topic().to_owned(),
        partition: reader.partition().0,
        partition_count,
        committed: reader
            .committed_at_assignment()
            .map(|Offset(offset)| offset),
    };
    let taken = order.take_over(&partition).await?;
    if !began_anew(&partition, taken.newest_offset(), assigned).await? {
        return Ok(taken);
    }
    tracing::warn!(
        partition = %reader.topic_partition(),
        remembered = taken.newest_offset(),
        "the partition ends before records that were read of it: its topic was made anew, and what waits comes before \
         what is read now"
    );
    order.restart(&partition).await?;
    Ok(order.take_over(&partition).await?)
}

/// Whether records are remembered that the partition does not have yet. What is behind the committed offset is asked
/// for only, which is next to nothing: a crash leaves some.
async fn began_anew(
    partition: &AssignedPartition,
    newest: Option<i64>,
    assigned: &Assigned<'_>,
) -> Result<bool, Trouble> {
    let Some(newest) = newest.filter(|newest| *newest >= partition.committed.unwrap_or(0)) else {
        return Ok(false);
    };
    let end = assigned
        .topology
        .end_of(assigned.group, assigned.reader.topic_partition())
        .await
        .map_err(Trouble::Topic)?;
    Ok(end.is_some_and(|Offset(end)| newest >= end))
}
