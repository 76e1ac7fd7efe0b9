//! Which partition of a redirect topic has the records of which source partition.

use cdc_event::Headers;
use cdc_kafka::TopicPartition;
use serde::{Deserialize, Serialize};

use crate::log::LogRecord;

/// Which partition of a redirect topic has the records of which source partition: the remainder by a number that never
/// changes. It is not how many partitions the topic has now: once some were added, records would be looked for where they
/// are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// At least 1.
    partitions: i32,
}

/// As it is written, once for each topic.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u8,
    partitions: i32,
}

/// Of what is written.
const VERSION: u8 = 1;

/// The key of the record, in partition 0, that says it.
const KEY: &[u8] = b"layout";

impl Layout {
    const fn new(partitions: i32) -> Self {
        Self {
            partitions: if partitions < 1 { 1 } else { partitions },
        }
    }

    /// The one that explains where owners wrote: (source partition, redirect partition). `partitions` is how many there
    /// are now; as many as possible are used. `None` if no number explains it.
    pub(crate) fn that_explains(owners: &[(i32, i32)], partitions: i32) -> Option<Self> {
        let explains = |number: &i32| owners.iter().all(|(of, found)| of % number == *found);
        (1..=partitions.max(1)).rev().find(explains).map(Self::new)
    }

    /// How many partitions are used.
    pub(crate) const fn partitions(self) -> i32 {
        self.partitions
    }

    /// Where the records of a source partition are. The source may have more partitions: they share, and know their own
    /// by the key.
    pub(crate) fn place(self, topic: &str, source_partition: i32) -> TopicPartition {
        TopicPartition::new(topic, source_partition % self.partitions)
    }

    /// Whether a record with this key says it.
    pub(crate) fn is_about(key: &[u8]) -> bool {
        key == KEY
    }

    pub(crate) fn encode(self) -> LogRecord {
        let written = Written {
            version: VERSION,
            partitions: self.partitions,
        };
        #[expect(clippy::expect_used, reason = "numbers are always JSON")]
        let value = serde_json::to_vec(&written).expect("numbers are JSON");
        LogRecord {
            key: KEY.to_vec(),
            value: Some(value),
            headers: Headers::new(),
        }
    }

    /// # Errors
    ///
    /// Another version, or somebody else, wrote it.
    pub(crate) fn decode(record: &LogRecord) -> Result<Self, String> {
        let value = record.value.as_deref().unwrap_or_default();
        let written: Written = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        match written {
            Written {
                version: VERSION,
                partitions: partitions @ 1..,
            } => Ok(Self { partitions }),
            Written {
                version,
                partitions,
            } => Err(format!(
                "it is of version {version} with {partitions} partitions, and this is {VERSION}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(owners: &[(i32, i32)], partitions: i32) -> Option<i32> {
        Layout::that_explains(owners, partitions).map(Layout::partitions)
    }

    #[test]
    fn is_read_as_it_was_written() {
        let layout = Layout::new(7);
        assert_eq!(Layout::decode(&layout.encode()), Ok(layout));
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for value in [
            "",
            "7",
            r#"{"version":2,"partitions":7}"#,
            r#"{"version":1,"partitions":0}"#,
        ] {
            let mut record = Layout::new(7).encode();
            record.value = Some(value.into());
            assert!(Layout::decode(&record).is_err(), "{value}");
        }
    }

    #[test]
    fn a_topic_that_nobody_used_is_used_as_a_whole() {
        assert_eq!(explained(&[], 6), Some(6));
    }

    #[test]
    fn what_was_written_says_how_many_there_were() {
        assert_eq!(explained(&[(0, 0), (1, 1), (2, 0)], 4), Some(2));
        assert_eq!(explained(&[(1, 0)], 2), Some(1));
        // Nothing was shared, so that it does not matter.
        assert_eq!(explained(&[(0, 0), (1, 1)], 4), Some(4));
    }

    #[test]
    fn what_is_in_two_places_has_no_explanation() {
        assert_eq!(explained(&[(1, 0), (1, 1)], 2), None);
    }
}
