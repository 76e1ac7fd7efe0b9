//! What records of a redirect topic say, and how it is written.

use std::time::{Duration, SystemTime};

use cdc_event::{Headers, KafkaPosition, Record};
use serde::{Deserialize, Serialize};

use crate::entry_id::{EntryId, EntryKey};
use crate::log::LogRecord;

/// What is written about a key.
#[derive(Debug, Clone)]
pub(crate) enum Fact {
    /// A record that waits for its turn, or was given up and is waited for.
    Waits(Waits),
    /// A record that was dealt with, and may be read again.
    Done { key: Option<Vec<u8>> },
    /// A record that was given up, and left out.
    Skipped { key: Option<Vec<u8>> },
    /// Attempts that nobody came back from.
    Begun(u32),
    /// Up to this place those of the key are given up.
    Dead {
        key: Option<Vec<u8>>,
        generation: u32,
        offset: i64,
    },
    /// Whose the source partition is.
    Owner(Owner),
    /// A record is to be tried again, as it is here.
    Replay(Waits),
    /// A record is given up for good.
    Discard,
}

/// A record that waits.
#[derive(Debug, Clone)]
pub(crate) struct Waits {
    pub(crate) record: Record,
    pub(crate) progress: Progress,
}

/// How far a record that waits has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Given up: what is behind it waits for somebody to deal with it.
    #[serde(default)]
    pub(crate) held: bool,
    /// 0 for what only waits behind another.
    pub(crate) attempts: u32,
    /// Delays that it has waited through.
    pub(crate) delays: u16,
    pub(crate) first_failed_ms: Option<u64>,
    /// Not tried before; `None` is at once.
    pub(crate) due_ms: Option<u64>,
    /// When it was written first.
    pub(crate) parked_ms: u64,
    /// How many partitions the source had.
    pub(crate) partition_count: i32,
    /// The code of the last error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
}

/// The owner of a source partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// Tells this owner from others.
    pub(crate) token: String,
    /// How often the topic was made anew.
    pub(crate) generation: u32,
}

/// The last header of each record: all that is not the record itself.
#[derive(Serialize, Deserialize)]
struct Stamp {
    version: u8,
    #[serde(flatten)]
    said: Said,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Said {
    Waits(Stamped),
    Done,
    Skipped,
    Begun { count: u32 },
    Dead { generation: u32, offset: i64 },
    Owner(Owner),
    Replay(Stamped),
    Discard,
}

#[derive(Serialize, Deserialize)]
struct Stamped {
    #[serde(flatten)]
    progress: Progress,
    timestamp_ms: Option<i64>,
    /// A null would be a tombstone.
    #[serde(default)]
    null_value: bool,
}

/// Of what is written.
const VERSION: u8 = 1;

/// The header with all that is not the record itself; always the last one.
const STAMP: &str = "cdc-redirect";

/// The header with the record's key; always the one before.
const KEY: &str = "cdc-redirect-key";

/// A record of a redirect topic that cannot be understood.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotUnderstood(String);

impl Progress {
    pub(crate) fn due(&self) -> Option<SystemTime> {
        self.due_ms.map(time)
    }

    pub(crate) fn first_failed_at(&self) -> Option<SystemTime> {
        self.first_failed_ms.map(time)
    }

    pub(crate) fn parked_at(&self) -> SystemTime {
        time(self.parked_ms)
    }
}

impl Fact {
    /// As it is written.
    pub(crate) fn encode(&self, key: &EntryKey) -> LogRecord {
        let none = || (Some(Vec::new()), Headers::new(), None);
        let (said, (value, mut headers, record_key)) = match self {
            Self::Waits(waits) => {
                let (stamped, parts) = waits.encode();
                (Said::Waits(stamped), parts)
            }
            Self::Replay(waits) => {
                let (stamped, parts) = waits.encode();
                (Said::Replay(stamped), parts)
            }
            Self::Done { key } => (Said::Done, (Some(Vec::new()), Headers::new(), key.clone())),
            Self::Skipped { key } => (
                Said::Skipped,
                (Some(Vec::new()), Headers::new(), key.clone()),
            ),
            Self::Begun(count) => (Said::Begun { count: *count }, none()),
            Self::Dead {
                key,
                generation,
                offset,
            } => (
                Said::Dead {
                    generation: *generation,
                    offset: *offset,
                },
                (Some(Vec::new()), Headers::new(), key.clone()),
            ),
            Self::Owner(owner) => (Said::Owner(owner.clone()), none()),
            Self::Discard => (Said::Discard, none()),
        };
        let version = VERSION;
        #[expect(clippy::expect_used, reason = "numbers and text are always JSON")]
        let stamp = serde_json::to_vec(&Stamp { version, said }).expect("a stamp is JSON");
        headers.push(KEY, record_key);
        headers.push(STAMP, Some(stamp));
        LogRecord {
            key: key.to_string().into_bytes(),
            value,
            headers,
        }
    }

    /// What a record says; `None` is a tombstone.
    ///
    /// # Errors
    ///
    /// Another version, or somebody else, wrote it.
    pub(crate) fn decode(
        topic: &str,
        key: &EntryKey,
        record: LogRecord,
    ) -> Result<Option<Self>, NotUnderstood> {
        let Some(value) = record.value else {
            return Ok(None);
        };
        let headers = record.headers.as_slice();
        let [own @ .., of_key, stamp] = headers else {
            return Err(NotUnderstood("it has not our headers".into()));
        };
        if of_key.name != KEY || stamp.name != STAMP {
            return Err(NotUnderstood("it has not our headers".into()));
        }
        let wrong =
            |error: serde_json::Error| NotUnderstood(format!("its header {STAMP:?}: {error}"));
        let stamp: Stamp =
            serde_json::from_slice(stamp.value.as_deref().unwrap_or_default()).map_err(wrong)?;
        if stamp.version != VERSION {
            return Err(NotUnderstood(format!(
                "it is of version {}, and this is {VERSION}",
                stamp.version
            )));
        }
        let record_key = of_key.value.clone();
        let waits = |stamped: Stamped, offset: i64, part| {
            let mut headers = Headers::new();
            for header in own {
                headers.push(header.name.clone(), header.value.clone());
            }
            Waits {
                record: Record {
                    origin: KafkaPosition {
                        topic: topic.to_owned(),
                        partition: key.partition(),
                        offset,
                    },
                    part,
                    key: record_key.clone(),
                    value: (!stamped.null_value).then_some(value),
                    headers,
                    timestamp_ms: stamped.timestamp_ms,
                },
                progress: stamped.progress,
            }
        };
        Ok(Some(match (stamp.said, key) {
            (Said::Waits(stamped), EntryKey::Entry(id)) => {
                Self::Waits(waits(stamped, id.offset, id.part.clone()))
            }
            (Said::Replay(stamped), EntryKey::Replay(origin)) => {
                Self::Replay(waits(stamped, origin.offset, origin.part.clone()))
            }
            (Said::Done, EntryKey::Entry(_)) => Self::Done { key: record_key },
            (Said::Skipped, EntryKey::Entry(_)) => Self::Skipped { key: record_key },
            (Said::Begun { count }, EntryKey::Begun(_)) => Self::Begun(count),
            (Said::Dead { generation, offset }, EntryKey::Dead(_)) => Self::Dead {
                key: record_key,
                generation,
                offset,
            },
            (Said::Owner(owner), EntryKey::Owner { .. }) => Self::Owner(owner),
            (Said::Discard, EntryKey::Discard(_)) => Self::Discard,
            _ => return Err(NotUnderstood("its header is not of its key".into())),
        }))
    }
}

type Parts = (Option<Vec<u8>>, Headers, Option<Vec<u8>>);

impl Waits {
    fn encode(&self) -> (Stamped, Parts) {
        let record = &self.record;
        let stamped = Stamped {
            progress: self.progress.clone(),
            timestamp_ms: record.timestamp_ms,
            null_value: record.value.is_none(),
        };
        let value = Some(record.value.clone().unwrap_or_default());
        (stamped, (value, record.headers.clone(), record.key.clone()))
    }

    /// What it takes in memory, about.
    pub(crate) fn size(&self) -> usize {
        record_size(&self.record)
    }
}

/// What a record takes in memory, about.
pub(crate) fn record_size(record: &Record) -> usize {
    const FIXED: usize = 256;
    let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let headers = record.headers.as_slice().iter();
    let headers: usize = headers
        .map(|header| 64 + header.name.len() + bytes(&header.value))
        .sum();
    FIXED + bytes(&record.key) + bytes(&record.value) + headers
}

/// The id of a record that was read.
pub(crate) fn id_of(record: &Record, generation: u32) -> EntryId {
    EntryId {
        alone: false,
        generation,
        partition: record.origin.partition,
        offset: record.origin.offset,
        part: None,
    }
}

/// Milliseconds since 1970; times before that are 0.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A hundred thousand years are far enough, and no time overflows with them.
fn time(millis: u64) -> SystemTime {
    const FAR: u64 = 3_155_760_000_000_000;
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.min(FAR))
}

#[cfg(test)]
mod tests {
    use cdc_event::PartId;

    use super::*;

    fn waits(value: Option<&[u8]>, key: Option<&[u8]>) -> Waits {
        let mut headers = Headers::new();
        headers.push(STAMP, Some(b"of a user".to_vec()));
        headers.push("none", None);
        Waits {
            record: Record {
                origin: KafkaPosition {
                    topic: "t".into(),
                    partition: 3,
                    offset: 4,
                },
                part: Some(PartId::new("x").unwrap()),
                key: key.map(<[u8]>::to_vec),
                value: value.map(<[u8]>::to_vec),
                headers,
                timestamp_ms: Some(-1),
            },
            progress: Progress {
                held: true,
                attempts: 3,
                delays: 2,
                first_failed_ms: Some(5),
                due_ms: None,
                parked_ms: 6,
                partition_count: 7,
                code: Some("failed".into()),
            },
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was_with_null_and_empty_apart() {
        let key = EntryKey::parse(b"at/0/3/4/x").unwrap();
        for value in [None, Some(&b""[..]), Some(b"v")] {
            for record_key in [None, Some(&b""[..]), Some(b"k")] {
                let written = waits(value, record_key);
                let encoded = Fact::Waits(written.clone()).encode(&key);
                assert!(encoded.value.is_some(), "a tombstone");
                let Ok(Some(Fact::Waits(read))) = Fact::decode("t", &key, encoded) else {
                    panic!("not understood");
                };
                assert_eq!(read.record, written.record);
                assert_eq!(read.progress, written.progress);
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let key = EntryKey::parse(b"at/0/3/4").unwrap();
        let ours = Fact::Done { key: None }.encode(&key);
        let mut foreign = ours.clone();
        foreign.headers.push("more", None);
        let begun = EntryKey::parse(b"begun/at/0/3/4").unwrap();
        assert!(Fact::decode("t", &key, foreign).is_err());
        assert!(Fact::decode("t", &begun, ours.clone()).is_err());
        assert!(Fact::decode("t", &key, ours).is_ok());
    }
}
