//! The group's rows, written and streamed again.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use cdc_outbox::{Encoder, Event, Layout, OutboxSettings, UnsuitableTable};
use pg_replication::pgoutput::{LogicalMessage, Message, RelationId};
use pg_replication::{
    Client, CreateSlot, PgTimestamp, PublicationName, ReplicationStream, SnapshotAction,
    StreamEvent, StreamOptions,
};
use tokio::time::timeout;

use crate::group::{About, Group};
use test_database::Database;

/// Ends a step: a logical message of this prefix.
const END: &str = "end of step";

/// What we make of a row.
#[derive(Debug)]
pub(crate) enum Ours {
    Record(Box<Record>),
    Refused(String),
}

/// An [`Event`] that can be kept.
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp: Option<i64>,
}

/// A database and a stream from it, for all groups: making a slot may have to wait for whatever else goes on in the server.
pub(crate) struct Server {
    client: Client,
    stream: ReplicationStream,
    /// Last: it takes the slot with it.
    _database: Database,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let database = Database::create("golden").await;
        let client = database.client().await;
        let slot = database.slot("s");
        let mut session = database.session().await;
        session
            .create_slot(&CreateSlot {
                name: slot.clone(),
                temporary: false,
                failover: false,
                snapshot: SnapshotAction::Nothing,
            })
            .await
            .unwrap();
        let options = StreamOptions {
            slot,
            publications: vec![PublicationName::new("pub").unwrap()],
            messages: true,
            status_interval: Duration::from_secs(1),
            silence_limit: Duration::from_secs(30),
        };
        let stream = ReplicationStream::start(session, &options).await.unwrap();
        Self {
            client,
            stream,
            _database: database,
        }
    }

    /// Runs every step of a group on its table, and gives back what became of each.
    pub(crate) async fn replay(
        &mut self,
        group: &Group,
        settings: OutboxSettings,
    ) -> Vec<Vec<Ours>> {
        let About {
            ddl, publication, ..
        } = &group.about;
        let table = if ddl.contains("outbox") {
            "FOR TABLE outbox"
        } else {
            ""
        };
        self.client
            .batch_execute(&format!(
                "DROP PUBLICATION IF EXISTS pub; DROP SCHEMA public CASCADE; CREATE SCHEMA public; {ddl};
                 CREATE PUBLICATION pub {table} WITH ({publication})"
            ))
            .await
            .unwrap();
        let mut replay = Replay {
            encoder: Encoder::new(settings).unwrap(),
            layouts: HashMap::new(),
            committed_at: None,
            not_null: not_null_columns(&self.client).await,
        };
        let mut outcomes = Vec::new();
        for step in &group.steps {
            self.client.batch_execute(&step.sql).await.unwrap();
            let end = "SELECT pg_logical_emit_message(true, $1, '')";
            self.client.execute(end, &[&END]).await.unwrap();
            let ours = timeout(Duration::from_secs(60), replay.step(&mut self.stream)).await;
            outcomes.push(
                ours.unwrap_or_else(|_| panic!("{}: {} did not come", group.id(), step.case)),
            );
        }
        outcomes
    }
}

struct Replay {
    encoder: Encoder,
    layouts: HashMap<RelationId, Result<Layout, UnsuitableTable>>,
    committed_at: Option<PgTimestamp>,
    /// The columns that cannot be NULL, from the catalogue.
    not_null: HashSet<String>,
}

impl Replay {
    async fn step(&mut self, stream: &mut ReplicationStream) -> Vec<Ours> {
        let mut ours = Vec::new();
        loop {
            while let Some(event) = stream.try_next().unwrap() {
                match event {
                    StreamEvent::Begin(begin) => self.committed_at = Some(begin.commit_time),
                    StreamEvent::Change(LogicalMessage::Message(message))
                        if message.prefix == END.as_bytes() =>
                    {
                        return ours;
                    }
                    StreamEvent::Change(change) => ours.extend(self.change(&change)),
                    StreamEvent::Idle { .. } => {}
                    StreamEvent::Commit(_, token) | StreamEvent::Standalone(_, token) => {
                        stream.acknowledge(token);
                    }
                }
            }
            stream.fill().await.unwrap();
        }
    }

    fn change(&mut self, change: &LogicalMessage) -> Option<Ours> {
        match change {
            LogicalMessage::Relation(relation) => {
                self.layouts.insert(
                    relation.id,
                    self.encoder.layout_with(relation, &self.not_null),
                );
                None
            }
            LogicalMessage::Insert(insert) => Some(match &self.layouts[&insert.relation] {
                Ok(layout) => ours(self.encoder.row(layout, &insert.new, self.committed_at)),
                Err(unsuitable) => Ours::Refused(unsuitable.to_string()),
            }),
            LogicalMessage::Message(Message { content, .. }) => {
                Some(ours(self.encoder.message(content, self.committed_at)))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Record {
    /// Bytes as text where they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Option<Vec<u8>>| {
            let bytes = bytes.as_ref();
            bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        f.debug_struct("Record")
            .field("topic", &self.topic)
            .field("key", &text(&self.key))
            .field("value", &text(&self.value))
            .finish_non_exhaustive()
    }
}

async fn not_null_columns(client: &Client) -> HashSet<String> {
    let sql = "SELECT attname::text FROM pg_attribute
               WHERE attrelid = to_regclass('public.outbox') AND attnum > 0 AND attnotnull";
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn ours<E: std::fmt::Debug>(event: Result<Event<'_>, E>) -> Ours {
    let event = match event {
        Ok(event) => event,
        Err(refused) => return Ours::Refused(format!("{refused:?}")),
    };
    Ours::Record(Box::new(Record {
        topic: event.topic.to_owned(),
        partition: event.partition.map(|partition| partition.0),
        key: event.key.map(Into::into),
        value: event.value.map(Into::into),
        headers: event
            .headers
            .into_iter()
            .map(|header| (header.name.into_owned(), header.value.map(Into::into)))
            .collect(),
        timestamp: event.timestamp.map(|time| time.0),
    }))
}
