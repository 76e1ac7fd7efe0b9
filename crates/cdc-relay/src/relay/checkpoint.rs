//! What Kafka is known to have, written by the relay into a compacted topic of its own.
//!
//! The record is the relay's memory outside of PostgreSQL. With transactions it is committed together with the events
//! it speaks of, so that it is never wrong by one; without, it is written after they were acknowledged, and before
//! PostgreSQL hears of it. Therefore, as long as nobody else moves the slot, the slot is never ahead of the
//! checkpoint: one that is was made anew, or moved.

use std::fmt::Display;
use std::str::FromStr;

use cdc_event::{ChangeIndex, Position};
use pg_lsn::Lsn;
use pg_replication::pgoutput::Xid;
use pg_replication::{PgTimestamp, SlotName, SystemId, SystemIdentity, TimelineId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::backfill::{Backfill, Wanted};
use super::coverage::Coverage;

/// The only layout so far.
const VERSION: u8 = 1;

/// Which slot of which server a checkpoint is about: the record's key, `{system_identifier}/{slot}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckpointKey {
    pub(crate) system_id: SystemId,
    pub(crate) slot: SlotName,
}

/// Everything before [`lsn`](Self::lsn) is in Kafka, and nothing after it, but for what [`partial`](Self::partial) says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    version: u8,
    /// The timeline that the LSNs are of.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub(crate) timeline: TimelineId,
    /// Each transaction whose commit record begins before it is in Kafka whole.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub(crate) lsn: Lsn,
    /// Of the transaction after that, the changes up to this one are too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) partial: Option<PartialTransaction>,
    /// The newest transaction that is whole in Kafka, to recognise the history by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) newest: Option<SeenCommit>,
    /// Each row whose `xmin` is older was committed before `lsn`, or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) horizon: Option<u32>,
    /// Rows that are being read from the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backfill: Option<Backfill>,
    /// When it was written, by the relay's clock, for people: microseconds since 1970.
    written_at: i64,
}

/// A transaction of which Kafka has the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartialTransaction {
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    commit_lsn: Lsn,
    /// Changes from the first that are in Kafka, or are none of the outbox's.
    changes: u64,
}

/// A commit as the stream showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenCommit {
    /// Where its commit record begins.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub(crate) lsn: Lsn,
    /// Its time, in microseconds since 1970.
    at: i64,
}

/// Bytes in the checkpoint topic that are no checkpoint of this version.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableCheckpoint {
    /// Not the JSON of a checkpoint.
    #[error("it is not a checkpoint")]
    Malformed(#[source] serde_json::Error),
    /// Of a later version of cdc-relay.
    #[error("it has the layout {found}, and this version of cdc-relay knows {VERSION}")]
    Newer {
        /// The layout.
        found: u8,
    },
}

impl CheckpointKey {
    pub(crate) fn new(identity: &SystemIdentity, slot: &SlotName) -> Self {
        Self {
            system_id: identity.system_id,
            slot: slot.clone(),
        }
    }

    /// Whether `key` is that of the same slot on another server, and which one that is.
    pub(crate) fn same_slot_elsewhere(&self, key: &[u8]) -> Option<SystemId> {
        let key = std::str::from_utf8(key).ok()?;
        let (system_id, slot) = key.split_once('/')?;
        let system_id = system_id.parse().ok()?;
        (slot == self.slot.as_str() && system_id != self.system_id).then_some(system_id)
    }
}

impl std::fmt::Display for CheckpointKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.system_id, self.slot)
    }
}

impl Checkpoint {
    /// Of a slot that stands at `lsn`, with nothing else known.
    pub(crate) fn at(lsn: Lsn, timeline: TimelineId, horizon: Option<Xid>) -> Self {
        Self {
            version: VERSION,
            timeline,
            lsn,
            partial: None,
            newest: None,
            horizon: horizon.map(|xid| xid.0),
            backfill: None,
            written_at: 0,
        }
    }

    /// What need not be sent again.
    pub(crate) fn coverage(&self) -> Coverage {
        Coverage::new(self.lsn, self.partial.map(PartialTransaction::position))
    }

    /// The rows that were wanted when it was written, which was before the slot that it speaks of was made.
    pub(super) fn intent(&self) -> Option<Wanted> {
        self.backfill.as_ref().and_then(Backfill::intent)
    }

    pub(crate) fn horizon(&self) -> Option<Xid> {
        self.horizon.map(Xid)
    }

    pub(crate) fn to_json(&self, now: PgTimestamp) -> Vec<u8> {
        let written = Self {
            written_at: now.to_unix_micros(),
            ..self.clone()
        };
        #[expect(
            clippy::expect_used,
            reason = "a struct of texts and numbers has a JSON form"
        )]
        serde_json::to_vec(&written).expect("a checkpoint is JSON")
    }

    /// # Errors
    ///
    /// Bytes that are no checkpoint, or one of a later version.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, UnreadableCheckpoint> {
        #[derive(Deserialize)]
        struct Layout {
            version: u8,
        }
        let Layout { version } =
            serde_json::from_slice(json).map_err(UnreadableCheckpoint::Malformed)?;
        if version > VERSION {
            return Err(UnreadableCheckpoint::Newer { found: version });
        }
        serde_json::from_slice(json).map_err(UnreadableCheckpoint::Malformed)
    }
}

impl PartialTransaction {
    /// Of a transaction whose next change is the one at `next`; `None` when that is its first.
    pub(crate) fn before(next: Position) -> Option<Self> {
        (next.index > ChangeIndex::FIRST).then_some(Self {
            commit_lsn: next.commit_lsn,
            changes: next.index.get(),
        })
    }

    /// Whether its commit is at `lsn` or after it.
    pub(crate) fn ends_after(self, lsn: Lsn) -> bool {
        self.commit_lsn >= lsn
    }

    /// The first change that Kafka does not have.
    fn position(self) -> Position {
        Position {
            commit_lsn: self.commit_lsn,
            index: ChangeIndex::new(self.changes),
        }
    }
}

impl SeenCommit {
    pub(crate) fn new(lsn: Lsn, at: PgTimestamp) -> Self {
        Self {
            lsn,
            at: at.to_unix_micros(),
        }
    }

    pub(crate) fn is_at(self, time: PgTimestamp) -> bool {
        self.at == time.to_unix_micros()
    }

    /// For people.
    pub(crate) fn time(self) -> String {
        let since_1970 = std::time::Duration::from_micros(u64::try_from(self.at).unwrap_or(0));
        humantime::format_rfc3339_micros(std::time::UNIX_EPOCH + since_1970).to_string()
    }
}

fn as_text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn from_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: Display,
    D: Deserializer<'de>,
{
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut checkpoint = Checkpoint::at(
            "16/B374D848".parse().unwrap(),
            "3".parse().unwrap(),
            Some(Xid(771)),
        );
        checkpoint.partial = PartialTransaction::before(Position {
            commit_lsn: "16/B4000000".parse().unwrap(),
            index: ChangeIndex::new(5),
        });
        checkpoint.newest = Some(SeenCommit::new(
            "16/B374D000".parse().unwrap(),
            PgTimestamp::now(),
        ));
        checkpoint
    }

    #[test]
    fn comes_back_from_its_json() {
        let written = checkpoint();
        let mut read = Checkpoint::from_json(&written.to_json(PgTimestamp::now())).unwrap();
        read.written_at = 0;
        assert_eq!(read, written);
    }

    #[test]
    fn is_json_that_people_can_read() {
        let json = Checkpoint::at("16/B374D848".parse().unwrap(), "1".parse().unwrap(), None)
            .to_json(PgTimestamp::now());
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["lsn"], "16/B374D848");
        assert_eq!(json["version"], 1);
        assert!(json.get("partial").is_none());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(matches!(
            Checkpoint::from_json(br#"{"version":2,"other":true}"#),
            Err(UnreadableCheckpoint::Newer { found: 2 })
        ));
        for bytes in [&b""[..], b"{}", br#"{"version":1}"#, b"\xff"] {
            assert!(
                matches!(
                    Checkpoint::from_json(bytes),
                    Err(UnreadableCheckpoint::Malformed(_))
                ),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn knows_its_slot_on_another_server() {
        let key = CheckpointKey {
            system_id: "7".parse().unwrap(),
            slot: "orders".parse().unwrap(),
        };
        assert_eq!(key.to_string(), "7/orders");
        assert_eq!(
            key.same_slot_elsewhere(b"8/orders"),
            Some("8".parse().unwrap())
        );
        for other in [
            &b"7/orders"[..],
            b"8/other",
            b"orders",
            b"x/orders",
            b"\xff",
        ] {
            assert_eq!(key.same_slot_elsewhere(other), None, "{other:?}");
        }
    }
}
