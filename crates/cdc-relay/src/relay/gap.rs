//! Whether the slot still continues where the relay stopped. Pure: facts in, verdict out.

use pg_lsn::Lsn;
use pg_replication::{SystemId, SystemIdentity, TimelineId};

use super::checkpoint::{Checkpoint, SeenCommit};

/// What the server says of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotFacts {
    Missing,
    /// The server has removed log that it needed.
    Lost,
    /// It can be streamed from.
    Ready {
        /// Where its stream begins.
        confirmed: Lsn,
    },
}

/// Something between the checkpoint and the stream does not fit: events may be missing from Kafka, or from the
/// database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Gap {
    /// Nobody knows what was committed since.
    #[error("the slot is gone, and the log ends at {ends}{}", since(*.delivered, *.newest))]
    SlotMissing {
        /// The end of the server's log.
        ends: Lsn,
        /// The checkpoint's position.
        delivered: Lsn,
        /// The newest event's transaction.
        newest: Option<SeenCommit>,
    },
    /// The server has removed the log from the checkpoint on.
    #[error("the server has removed log that the slot needed, and the log ends at {ends}{}", since(*.delivered, *.newest))]
    SlotLost {
        /// The end of the server's log.
        ends: Lsn,
        /// The checkpoint's position.
        delivered: Lsn,
        /// The newest event's transaction.
        newest: Option<SeenCommit>,
    },
    /// It was dropped and made anew, or moved by hand.
    #[error(
        "the slot begins at {begins}, {} bytes of log later: it was made anew, or moved by somebody else{}",
        begins.bytes_since(*.delivered), since(*.delivered, *.newest)
    )]
    SlotAhead {
        /// The checkpoint's position.
        delivered: Lsn,
        /// The slot's position.
        begins: Lsn,
        /// The newest event's transaction.
        newest: Option<SeenCommit>,
    },
    /// The server was restored from a backup: it does not know of events that Kafka has.
    #[error("the server's log ends at {ends} already: it was restored to an earlier state{}", since(*.delivered, *.newest))]
    ServerBehind {
        /// The checkpoint's position.
        delivered: Lsn,
        /// The end of the server's log.
        ends: Lsn,
        /// The newest event's transaction.
        newest: Option<SeenCommit>,
    },
    /// The server took another way before the checkpoint, as a standby that was promoted before it had everything.
    #[error("the server left the timeline {from} for {to} at {left}, before that{}", since(*.delivered, *.newest))]
    TimelineLeft {
        /// The checkpoint's position.
        delivered: Lsn,
        /// The checkpoint's timeline.
        from: TimelineId,
        /// The server's timeline.
        to: TimelineId,
        /// Where they parted; zero when the server's history does not have the checkpoint's timeline at all.
        left: Lsn,
        /// The newest event's transaction.
        newest: Option<SeenCommit>,
    },
    /// The slot's checkpoint is of another database cluster.
    #[error(
        "a slot of this name was relayed from the server {}{}, and this is {now}, whose log ends at {ends}",
        before.system_id, before.how_far()
    )]
    OtherSystem {
        /// The cluster of the checkpoint.
        before: Elsewhere,
        /// This cluster.
        now: SystemId,
        /// The end of this server's log.
        ends: Lsn,
    },
    /// At the same places in the log there are other transactions.
    #[error(
        "the server does not have the transaction that was relayed from {} and committed at {}: it was restored to an \
         earlier state, and has gone on since",
        seen.lsn, seen.time()
    )]
    OtherHistory {
        /// What was relayed.
        seen: SeenCommit,
    },
}

/// What was relayed from another server by a slot of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// Which server.
    pub(crate) system_id: SystemId,
    /// The checkpoint's position and newest event; `None` if this version cannot read the checkpoint.
    pub(crate) reached: Option<(Lsn, Option<SeenCommit>)>,
}

impl Elsewhere {
    pub(crate) fn new(system_id: SystemId, checkpoint: &[u8]) -> Self {
        let checkpoint = Checkpoint::from_json(checkpoint).ok();
        Self {
            system_id,
            reached: checkpoint.map(|checkpoint| (checkpoint.lsn, checkpoint.newest)),
        }
    }

    fn how_far(&self) -> String {
        self.reached
            .map_or_else(String::new, |(delivered, newest)| {
                let newest = newest.map_or_else(String::new, |commit| {
                    format!(", the newest event committed at {}", commit.time())
                });
                format!(" up to {delivered}{newest}")
            })
    }
}

fn since(delivered: Lsn, newest: Option<SeenCommit>) -> String {
    let newest = newest.map_or_else(String::new, |commit| {
        format!(", whose newest event was committed at {}", commit.time())
    });
    format!("; Kafka has everything before {delivered}{newest}")
}

/// The facts about the server that a checkpoint is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerFacts<'a> {
    pub(crate) identity: &'a SystemIdentity,
    /// Where the server's history left the checkpoint's timeline; `None` when it is still on it.
    pub(crate) left_timeline_at: Option<Lsn>,
}

/// Compares where the relay stopped with where the server would go on.
pub(crate) fn between(
    checkpoint: &Checkpoint,
    server: ServerFacts<'_>,
    slot: SlotFacts,
) -> Option<Gap> {
    let (delivered, newest) = (checkpoint.lsn, checkpoint.newest);
    let lacks_what_kafka_has = |end: Lsn| {
        let part = checkpoint.partial;
        end < delivered || part.is_some_and(|part| part.ends_after(end))
    };
    if let Some(left) = server.left_timeline_at
        && lacks_what_kafka_has(left)
    {
        return Some(Gap::TimelineLeft {
            delivered,
            from: checkpoint.timeline,
            to: server.identity.timeline,
            left,
            newest,
        });
    }
    if lacks_what_kafka_has(server.identity.flush_lsn) {
        return Some(Gap::ServerBehind {
            delivered,
            ends: server.identity.flush_lsn,
            newest,
        });
    }
    match slot {
        SlotFacts::Missing => Some(Gap::SlotMissing {
            ends: server.identity.flush_lsn,
            delivered,
            newest,
        }),
        SlotFacts::Lost => Some(Gap::SlotLost {
            ends: server.identity.flush_lsn,
            delivered,
            newest,
        }),
        SlotFacts::Ready { confirmed } if confirmed > delivered => Some(Gap::SlotAhead {
            delivered,
            begins: confirmed,
            newest,
        }),
        SlotFacts::Ready { .. } => None,
    }
}

impl Gap {
    /// Whether rows of before the checkpoint may be missing from Kafka: then nothing that the checkpoint says helps
    /// to find those that are.
    pub(crate) fn voids_the_checkpoint(&self) -> bool {
        match self {
            Self::SlotMissing { .. } | Self::SlotLost { .. } | Self::SlotAhead { .. } => false,
            Self::ServerBehind { .. }
            | Self::TimelineLeft { .. }
            | Self::OtherSystem { .. }
            | Self::OtherHistory { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use cdc_event::{ChangeIndex, Position};

    use super::*;
    use crate::relay::checkpoint::PartialTransaction;

    fn identity(timeline: &str, flush: u64) -> SystemIdentity {
        SystemIdentity {
            system_id: "7".parse().unwrap(),
            timeline: timeline.parse().unwrap(),
            flush_lsn: Lsn::new(flush),
            database: None,
        }
    }

    fn verdict(flush: u64, left: Option<u64>, slot: SlotFacts) -> Option<Gap> {
        let checkpoint = Checkpoint::at(Lsn::new(100), "1".parse().unwrap(), None);
        let identity = identity("1", flush);
        let server = ServerFacts {
            identity: &identity,
            left_timeline_at: left.map(Lsn::new),
        };
        between(&checkpoint, server, slot)
    }

    #[test]
    fn a_server_without_a_transaction_that_kafka_has_a_part_of_took_another_way() {
        let mut checkpoint = Checkpoint::at(Lsn::new(100), "1".parse().unwrap(), None);
        checkpoint.partial = PartialTransaction::before(Position {
            commit_lsn: Lsn::new(200),
            index: ChangeIndex::new(5),
        });
        let verdict = |flush, left: Option<u64>| {
            let server = ServerFacts {
                identity: &identity("1", flush),
                left_timeline_at: left.map(Lsn::new),
            };
            between(&checkpoint, server, ready(50))
        };
        for left in [150, 200] {
            let gap = verdict(500, Some(left));
            assert!(matches!(gap, Some(Gap::TimelineLeft { .. })), "{gap:?}");
            let gap = verdict(left, None);
            assert!(matches!(gap, Some(Gap::ServerBehind { .. })), "{gap:?}");
        }
        assert_eq!(verdict(500, Some(201)), None);
        assert_eq!(verdict(201, None), None);
    }

    fn ready(confirmed: u64) -> SlotFacts {
        SlotFacts::Ready {
            confirmed: Lsn::new(confirmed),
        }
    }

    #[test]
    fn a_slot_at_or_before_the_checkpoint_continues_it() {
        for confirmed in [1, 99, 100] {
            assert_eq!(verdict(500, None, ready(confirmed)), None, "{confirmed}");
        }
    }

    #[test]
    fn a_slot_beyond_the_checkpoint_is_a_gap() {
        let gap = verdict(500, None, ready(101)).unwrap();
        assert!(matches!(gap, Gap::SlotAhead { .. }));
        let text = gap.to_string();
        assert!(
            text.contains("0/65") && text.contains("0/64") && text.contains("1 bytes"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_or_lost_slot_is_a_gap() {
        assert!(matches!(
            verdict(500, None, SlotFacts::Missing),
            Some(Gap::SlotMissing { .. })
        ));
        assert!(matches!(
            verdict(500, None, SlotFacts::Lost),
            Some(Gap::SlotLost { .. })
        ));
    }

    #[test]
    fn a_server_whose_log_ends_before_the_checkpoint_was_restored() {
        assert!(matches!(
            verdict(99, None, ready(50)),
            Some(Gap::ServerBehind { .. })
        ));
        assert_eq!(verdict(100, None, ready(50)), None);
    }

    #[test]
    fn a_promotion_after_the_checkpoint_is_none() {
        assert_eq!(verdict(500, Some(100), ready(50)), None);
        assert!(matches!(
            verdict(500, Some(99), ready(50)),
            Some(Gap::TimelineLeft { .. })
        ));
    }
}
