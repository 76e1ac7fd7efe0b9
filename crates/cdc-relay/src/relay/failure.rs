//! From the end of a relay's session to what the user is told.

use super::{Gap, RelayError};
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};
use crate::shard::Shards;

impl Failure {
    /// What to tell about the end of a session. Whether it is tried again is decided by
    /// [`RelayError::next`] alone.
    pub(crate) fn from_relay(error: RelayError, config: &Config) -> Self {
        let publication = config.relay.publication.as_str();
        let (code, remedy) = match error {
            RelayError::Postgres { doing, source } => {
                return Self::from_postgres(source, Context::new(config, doing));
            }
            RelayError::Kafka { doing, source } => {
                return Self::from_kafka(source, Context::new(config, doing));
            }
            RelayError::Refused { source, .. } => {
                return Self::from_kafka(source, Context::new(config, "send an event"));
            }
            RelayError::Transaction { source } => {
                let context = Context::new(config, "commit a transaction");
                return Self::from_kafka(source.into_error(), context);
            }
            RelayError::Store { source } => return Self::from_store(source, config),
            RelayError::Backfill {
                source: outbox_scan::Error::Postgres { doing, source },
            } => return Self::from_postgres(source, Context::new(config, doing)),
            RelayError::Backfill {
                source: outbox_scan::Error::NoRoomToSort { .. },
            } => (
                ErrorCode::Backfill,
                "raise it for the relay's role (as a superuser: ALTER ROLE … SET temp_file_limit = …), to about the size \
                 of the outbox tables"
                    .to_owned(),
            ),
            RelayError::Backfill { .. } | RelayError::TooManyToCompare { .. } => (
                ErrorCode::Backfill,
                "see the cause; to go on without these rows, set `relay.on_gap = \"accept\"` or `relay.snapshot = \"never\"`"
                    .to_owned(),
            ),
            RelayError::BackfillEnded => return Self::internal(error.to_string()),
            RelayError::Checkpoint { .. } => (
                ErrorCode::CheckpointUnreadable,
                "run the version of cdc-relay that wrote it, or a newer one; if something else wrote to the topic, give \
                 the relay another `relay.checkpoint_topic`"
                    .to_owned(),
            ),
            RelayError::SlotMissing { .. } => (
                ErrorCode::SlotMissing,
                "run `cdc-relay init`, or correct `relay.slot`".to_owned(),
            ),
            RelayError::SlotLost { .. } => (ErrorCode::SlotLost, slot_lost(config)),
            RelayError::Gap(ref gap) => (gap_code(gap), gap_remedy(gap)),
            RelayError::InvalidRow { .. } => (
                ErrorCode::OutboxRowInvalid,
                "nothing after this event is sent until it is dealt with, so that none is lost. Correct the \
                 [outbox] configuration if it is that; see the page for how to skip one event"
                    .to_owned(),
            ),
            RelayError::UnsuitableTable(_) => (
                ErrorCode::OutboxColumnMissing,
                "correct the column names in section [outbox], or the publication's column list".to_owned(),
            ),
            RelayError::InvalidSettings(_) => (
                ErrorCode::InvalidValue,
                "correct section [outbox]".to_owned(),
            ),
            RelayError::OutboxRenamed { .. } => (
                ErrorCode::OutboxTableMissing,
                "put the new name into `outbox.tables`, or give the table its old one. Nothing that was written to it \
                 is lost"
                    .to_owned(),
            ),
            RelayError::PublicationMissing { .. } => (
                ErrorCode::PublicationMissing,
                "run `cdc-relay init`, or correct `relay.publication`. If the slot is there already, it was \
                 made without the publication: drop it first (SELECT pg_drop_replication_slot(…))"
                    .to_owned(),
            ),
            RelayError::PublicationIncomplete { .. } => (
                ErrorCode::PublicationIncomplete,
                format!(
                    "run `cdc-relay init`, or as the table's owner ALTER PUBLICATION {publication:?} ADD TABLE … \
                     and SET (publish = 'insert')"
                ),
            ),
            RelayError::OtherShards { shards, found, .. } => {
                return Self::other_shards(error.to_string(), shards, found);
            }
            RelayError::CheckpointTopicMissing { .. } => (
                ErrorCode::TopicMissing,
                "run `cdc-relay init`, or create it with one partition and cleanup.policy=compact, or set \
                 `kafka.topics.create = true`"
                    .to_owned(),
            ),
            RelayError::TopicMissing { .. } => (
                ErrorCode::TopicMissing,
                "create the topic, or set `kafka.topics.create = true`".to_owned(),
            ),
            RelayError::TopicDenied { .. } | RelayError::CheckpointTopicDenied { .. } => (
                ErrorCode::TopicNotAuthorised,
                "allow the client's principal to describe and write the topic, and to create it if it does not exist \
                 (kafka-acls --producer --topic NAME)"
                    .to_owned(),
            ),
            RelayError::ProducerStalled => (
                ErrorCode::KafkaRefused,
                "nothing: a new producer is made, and sends again from the last confirmed commit. If it comes \
                 often, look at the brokers' logs for leaders that change"
                    .to_owned(),
            ),
            RelayError::UndescribedRelation { .. } => return Self::internal(error.to_string()),
        };
        let failure = Self::new(code, error.to_string(), remedy);
        match error {
            RelayError::InvalidRow { reason, .. } => failure.caused_by(reason),
            RelayError::Backfill { source } => failure.caused_by(source),
            RelayError::Checkpoint { source, .. } => failure.caused_by(source),
            _ => failure,
        }
    }
}

impl Failure {
    /// What `init` says too: slots of two numbers of shards must not be used at once.
    pub(crate) fn other_shards(what: String, configured: Shards, found: Shards) -> Self {
        Self::new(
            ErrorCode::OtherShards,
            what,
            format!(
                "to change the number: `cdc-relay reshard --set relay.shards={found} --to {configured}` with all relays \
                 stopped; one that was interrupted is run again as it was. If nobody needs that slot: SELECT \
                 pg_drop_replication_slot(…)"
            ),
        )
    }
}

fn slot_lost(config: &Config) -> String {
    format!(
        "drop the slot (SELECT pg_drop_replication_slot('{}')) and run `cdc-relay init`; what was committed since the \
         slot's position must be sent from the outbox table. A larger max_slot_wal_keep_size prevents it",
        config.relay.slot
    )
}

fn gap_code(gap: &Gap) -> ErrorCode {
    match gap {
        Gap::SlotMissing { .. } => ErrorCode::SlotMissing,
        Gap::SlotLost { .. } => ErrorCode::SlotLost,
        Gap::SlotAhead { .. }
        | Gap::ServerBehind { .. }
        | Gap::TimelineLeft { .. }
        | Gap::OtherSystem { .. }
        | Gap::OtherHistory { .. } => ErrorCode::Gap,
    }
}

fn gap_remedy(gap: &Gap) -> String {
    let decide = "decide once, by starting with `--set relay.on_gap=…`: `replay_table` sends the rows of the outbox \
                  tables that Kafka does not have, `accept` goes on without them";
    match gap {
        Gap::OtherSystem { .. } => format!(
            "if these are two systems, give one of them another `relay.slot` or `relay.checkpoint_topic`. Otherwise {decide}"
        ),
        Gap::OtherHistory { .. } => {
            format!("the server was restored, and has gone on since. Now {decide}")
        }
        Gap::SlotMissing { .. }
        | Gap::SlotLost { .. }
        | Gap::SlotAhead { .. }
        | Gap::ServerBehind { .. }
        | Gap::TimelineLeft { .. } => decide.to_owned(),
    }
}
