//! How a session begins: both sides are connected, and what each remembers is compared.
//!
//! The slot comes first, since whoever streams from it is the one who relays. Only then is the transactional id
//! taken over, which would stop another relay, and the checkpoint read, which no other can change any more.

mod begin;
mod plan;

use std::future::Future;
use std::time::Duration;

use cdc_outbox::Encoder;
use pg_lsn::Lsn;
use pg_replication::{ReplicationStream, Session, StreamOptions, SystemIdentity, TimelineHistory};
use tokio::time::Instant;

use self::begin::{begin_at_slot, begin_with_new_slot};
use self::plan::decide;
use super::backfill::TableBackfill;
use super::careful::Careful;
use super::checkpoint::{Checkpoint, CheckpointKey};
use super::error::RelayError;
use super::gap::{Gap, SlotFacts};
use super::kafka_side::KafkaSide;
use super::partition::PartitionFinder;
use super::pipeline::{Contract, Pipeline};
use super::server_watch::ServerWatch;
use super::session::RelaySession;
use super::slot::{self, SlotLook};
use super::stall::StallWatch;
use super::topic::KnownTopics;
use super::topics::TopicFinder;
use super::walsender::Walsender;
use super::{Relay, hold, preflight};
use crate::relay_state::Phase;

/// The slot's position is told at most this often: a crash repeats about as much, and a message costs nothing.
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// What a session is put together from.
struct Parts<'a> {
    stream: ReplicationStream,
    watch: ServerWatch,
    topics: TopicFinder<'a>,
    refused: KnownTopics,
    contract: Contract,
    kafka: KafkaSide,
    checkpoint: Checkpoint,
    backfill: Option<TableBackfill>,
}

/// What the last session has to say to the next one.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// Kafka refused something.
    pub(super) careful: Option<Careful>,
    /// Topics that took nothing a moment ago.
    pub(super) refused: KnownTopics,
    /// It showed in the stream, and is to be bridged.
    pub(super) gap: Option<Gap>,
}

/// What the server says.
struct ServerSide {
    identity: SystemIdentity,
    /// `None` on the first timeline.
    history: Option<TimelineHistory>,
    slot: SlotLook,
}

impl<'a> RelaySession<'a> {
    /// Connects both sides, compares what they remember, and starts the stream. `streamed` becomes who serves it.
    pub(super) async fn open(
        relay: &'a Relay,
        Beginning {
            careful,
            refused,
            gap,
        }: Beginning,
        streamed: &mut Option<Walsender>,
    ) -> Result<Self, RelayError> {
        let mut session = Session::connect(&relay.postgres)
            .await
            .map_err(postgres("connect to PostgreSQL"))?;
        let mut contract = relay.contract()?;
        let server = ServerSide::look(relay, &mut session, &contract.encoder).await?;
        if contract.encoder.writes_schemas() {
            contract.not_null = preflight::not_null(&mut session, &relay.config.outbox).await?;
        }
        let topics = TopicFinder::new(relay);
        let key = CheckpointKey::new(&server.identity, &relay.slot);
        let (mut stream, watch, mut kafka, checkpoint, backfill);
        if matches!(server.slot.facts, SlotFacts::Ready { .. }) {
            let mut held_stream = start(relay, session, streamed).await?;
            watch = relay.watch();
            let opened = KafkaSide::open(relay, &topics, key);
            let mut opened = held(&mut held_stream, &watch, opened).await?;
            let plan = decide(relay, &server, &opened, gap)?;
            let begun = begin_at_slot(relay, &server, &mut opened, plan);
            (checkpoint, backfill) = held(&mut held_stream, &watch, begun).await?;
            (stream, kafka) = (held_stream, opened);
        } else {
            let mut opened = KafkaSide::open(relay, &topics, key).await?;
            let now = slot::look(&mut session, &relay.slot).await?;
            if now.facts != server.slot.facts {
                // Another relay made the slot while Kafka was waited for: all that was read may be out of date.
                drop((opened, session));
                let beginning = Beginning {
                    careful,
                    refused,
                    gap,
                };
                return Box::pin(Self::open(relay, beginning, streamed)).await;
            }
            let plan = decide(relay, &server, &opened, gap)?;
            (checkpoint, backfill) =
                begin_with_new_slot(relay, &server, &mut session, &mut opened, plan).await?;
            (stream, kafka) = (start(relay, session, streamed).await?, opened);
            watch = relay.watch();
        }
        if careful.is_some() {
            // What is refused from here on is an event.
            let noted = kafka.establish(relay, &checkpoint);
            held(&mut stream, &watch, noted).await?;
        }
        let parts = Parts {
            stream,
            watch,
            topics,
            refused,
            contract,
            kafka,
            checkpoint,
            backfill,
        };
        Ok(Self::assemble(relay, &server, careful, parts))
    }

    fn assemble(
        relay: &'a Relay,
        server: &ServerSide,
        careful: Option<Careful>,
        parts: Parts<'a>,
    ) -> Self {
        let Parts {
            stream,
            watch,
            topics,
            refused,
            contract,
            kafka,
            checkpoint,
            backfill,
        } = parts;
        tracing::info!(
            slot = %relay.slot,
            publication = %relay.publication,
            system_id = %server.identity.system_id,
            timeline = %server.identity.timeline,
            from = %checkpoint.lsn,
            "streaming"
        );
        relay.state.backfilling(true);
        relay.state.enter(Phase::Streaming);
        let pipeline = Pipeline::new(
            contract,
            refused,
            checkpoint.coverage(),
            checkpoint.newest,
            relay.metrics.clone(),
        );
        Self {
            relay,
            stream,
            pipeline,
            outbound: kafka.into_outbound(relay, checkpoint, watch.horizon()),
            topics,
            partitions: PartitionFinder::new(relay),
            backfill,
            careful,
            system_id: server.identity.system_id,
            stall: StallWatch::new(Instant::now()),
            waiting: None,
            reached: None,
            stopping: false,
            ended: false,
            server: watch,
        }
    }
}

impl ServerSide {
    async fn look(
        relay: &Relay,
        session: &mut Session,
        encoder: &Encoder,
    ) -> Result<Self, RelayError> {
        let config = &relay.config;
        let identity = preflight::check(session, &config.relay, &config.outbox, encoder).await?;
        if relay.until.is_none() {
            preflight::no_other_shards(session, &config.relay).await?;
        }
        let history = if identity.timeline.get() == 1 {
            None
        } else {
            let history = session.timeline_history(identity.timeline).await;
            Some(history.map_err(postgres("read the history of the server's timelines"))?)
        };
        Ok(Self {
            slot: slot::look(session, &relay.slot).await?,
            identity,
            history,
        })
    }

    /// Where the server's history left the checkpoint's timeline; `None` if it has not.
    fn left_timeline_at(&self, checkpoint: &Checkpoint) -> Option<Lsn> {
        if checkpoint.timeline == self.identity.timeline {
            return None;
        }
        let history = self.history.as_ref();
        let left = history.and_then(|history| history.switch_point(checkpoint.timeline));
        Some(left.unwrap_or(Lsn::ZERO))
    }
}

async fn start(
    relay: &Relay,
    mut session: Session,
    streamed: &mut Option<Walsender>,
) -> Result<ReplicationStream, RelayError> {
    let walsender = Walsender::of(&mut session).await;
    let walsender = walsender.map_err(postgres("ask who serves the session"))?;
    let config = &relay.config;
    let options = StreamOptions {
        slot: relay.slot.clone(),
        publications: vec![relay.publication.clone()],
        messages: !config.outbox.message_prefixes.is_empty(),
        status_interval: STATUS_INTERVAL,
        silence_limit: config.relay.wire_timeout.get(),
    };
    let stream = ReplicationStream::start(session, &options)
        .await
        .map_err(postgres("start streaming from the slot"))?;
    *streamed = walsender;
    Ok(stream)
}

/// Keeps the stream's connection alive while something else takes its time.
async fn held<T>(
    stream: &mut ReplicationStream,
    server: &ServerWatch,
    work: impl Future<Output = Result<T, RelayError>>,
) -> Result<T, RelayError> {
    tokio::select! {
        done = work => done,
        error = hold(stream, server) => Err(error),
    }
}

fn postgres(doing: &'static str) -> impl FnOnce(pg_replication::Error) -> RelayError {
    move |source| RelayError::Postgres { doing, source }
}
