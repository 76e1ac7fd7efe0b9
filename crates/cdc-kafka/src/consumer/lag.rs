//! How far a group is behind, asked from outside of it.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset as NativeOffset, TopicPartitionList};

use crate::client::BrokerReports;
use crate::code::KafkaCode;
use crate::error::Error;
use crate::options::{KafkaOptions, configuration_error};
use crate::record::{Offset, Partition, TopicPartition};

/// Where a group stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLag {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset that it goes on at; `None` when it has committed nothing.
    pub committed: Option<Offset>,
    /// The first offset that is kept.
    pub start: Offset,
    /// The offset behind the last record that can be read; transactions that are open are not counted.
    pub end: Offset,
}

impl PartitionLag {
    /// The number of offsets that are still to be read, from the first one that is kept. Some may be of no record:
    /// marks of transactions, and what was compacted away.
    #[must_use]
    pub fn offsets_behind(&self) -> u64 {
        let from = self
            .committed
            .map_or(self.start, |committed| committed.max(self.start));
        u64::try_from(self.end.0.saturating_sub(from.0)).unwrap_or(0)
    }
}

/// Looks how far a group is behind in topics, by topic and partition. Topics that do not exist are left out. The group
/// does not notice.
///
/// `timeout` bounds each question to the cluster; there are two for each topic, one for each partition, and one for the
/// group. Dropping the future leaves them to end by themselves.
///
/// # Errors
///
/// [`Error::InvalidConsumer`] for a group without a name; [`Error::Unreachable`], with the code of a refusal if it was
/// one.
pub async fn group_lag(
    options: &KafkaOptions,
    group: &str,
    topics: &[String],
    timeout: Duration,
) -> Result<Vec<PartitionLag>, Error> {
    if group.is_empty() {
        return Err(Error::InvalidConsumer {
            group: String::new(),
            reason: "the name of the group must not be empty",
        });
    }
    let mut config = options.reader_config()?;
    config.set("group.id", group);
    let brokers = options.brokers.clone();
    let topics = topics.to_vec();
    tokio::task::spawn_blocking(move || {
        let client = config
            .create_with_context(BrokerReports::default())
            .map_err(configuration_error)?;
        look(&client, &topics, timeout).map_err(|error| Error::Unreachable {
            action: "tell how far a group is behind",
            brokers,
            detail: client
                .context()
                .read()
                .last_error
                .map(|(error, _)| error.to_string()),
            code: KafkaCode::of(&error),
        })
    })
    .await
    .map_err(|_| Error::Abandoned)?
}

type Client = BaseConsumer<BrokerReports>;

/// Before a question is asked again.
const PAUSE: Duration = Duration::from_millis(20);

fn look(
    client: &Client,
    topics: &[String],
    timeout: Duration,
) -> Result<Vec<PartitionLag>, KafkaError> {
    let mut partitions = Vec::new();
    for topic in topics {
        let metadata = client.fetch_metadata(Some(topic), timeout)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        // One that is not there has none.
        let numbers = found.into_iter().flat_map(|found| found.partitions());
        partitions.extend(numbers.map(|partition| TopicPartition::new(topic, partition.id())));
    }
    partitions.sort();
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for TopicPartition { topic, partition } in &partitions {
        list.add_partition(topic, partition.0);
    }
    let committed = committed(client, &list, timeout)?;
    let lag = |partition: TopicPartition| {
        let TopicPartition {
            topic,
            partition: Partition(number),
        } = &partition;
        let element = committed.find_partition(topic, *number);
        let committed = match element.map(|element| element.offset()) {
            Some(NativeOffset::Offset(offset)) => Some(Offset(offset)),
            _ => None,
        };
        let (start, end) = client.fetch_watermarks(topic, *number, timeout)?;
        Ok(PartitionLag {
            committed,
            start: Offset(start),
            end: Offset(end),
            partition,
        })
    };
    partitions.into_iter().map(lag).collect()
}

/// What the group has committed. A coordinator that moves, or reads what it takes over, refuses for a moment.
fn committed(
    client: &Client,
    partitions: &TopicPartitionList,
    timeout: Duration,
) -> Result<TopicPartitionList, KafkaError> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = client
            .committed_offsets(partitions.clone(), left)
            .and_then(|committed| {
                for element in committed.elements() {
                    element.error()?;
                }
                Ok(committed)
            });
        match answer {
            Err(error) if is_passing(&error) && Instant::now() + PAUSE < deadline => {
                thread::park_timeout(PAUSE);
            }
            answer => return answer,
        }
    }
}

fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_kept_and_not_read() {
        for (committed, behind) in [
            (None, 90),
            (Some(5), 90),
            (Some(40), 60),
            (Some(100), 0),
            (Some(170), 0),
        ] {
            let lag = PartitionLag {
                partition: TopicPartition::new("t", 0),
                committed: committed.map(Offset),
                start: Offset(10),
                end: Offset(100),
            };
            assert_eq!(lag.offsets_behind(), behind, "{committed:?}");
        }
    }
}
