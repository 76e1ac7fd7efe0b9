//! How a session begins: both sides are connected, and what each remembers is compared.
//!
//! The slot comes first, since whoever streams from it is the one who relays. Only then is the transactional id
//! taken over, which would stop another relay, and the checkpoint read, which no other can change any more.

use std::future::Future;
use std::time::Duration;

use cdc_outbox::Encoder;
use pg_lsn::Lsn;
use pg_replication::{
    CreateSlot, CreatedSlot, ReplicationStream, Session, SnapshotAction, StreamOptions,
    SystemIdentity, TimelineHistory,
};
use tokio::time::Instant;

use super::backfill::{Backfill, TableBackfill, Wanted};
use super::careful::Careful;
use super::checkpoint::{Checkpoint, CheckpointKey};
use super::error::RelayError;
use super::gap::{self, Gap, ServerFacts, SlotFacts};
use super::kafka_side::KafkaSide;
use super::pipeline::{Contract, Pipeline};
use super::server_watch::ServerWatch;
use super::session::RelaySession;
use super::slot::{self, SlotLook};
use super::stall::StallWatch;
use super::topics::TopicFinder;
use super::{Relay, hold, preflight};
use crate::admin::Phase;
use crate::config::{OnGap, Snapshot};
use crate::failure::Failure;
use crate::metric;

/// The slot's position is told at most this often: a crash repeats about as much, and a message costs nothing.
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// How the session is to go on.
#[derive(Debug)]
enum Plan {
    /// From the checkpoint.
    Continue(Checkpoint),
    /// From the slot's position.
    Begin {
        /// Everything before is in Kafka, even if the slot stands further back.
        shared: Lsn,
        backfill: Option<Wanted>,
    },
}

/// What a session is put together from.
struct Parts<'a> {
    stream: ReplicationStream,
    watch: ServerWatch,
    topics: TopicFinder<'a>,
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
    /// Connects both sides, compares what they remember, and starts the stream.
    pub(super) async fn open(
        relay: &'a Relay,
        Beginning { careful, gap }: Beginning,
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
        let (stream, watch, kafka, checkpoint, backfill);
        if matches!(server.slot.facts, SlotFacts::Ready { .. }) {
            let mut held_stream = start(relay, session).await?;
            watch = relay.watch();
            let opened = KafkaSide::open(relay, &topics, key);
            let mut opened = held(&mut held_stream, &watch, opened).await?;
            let plan = decide(relay, &server, &opened, gap)?;
            let begun = begin_at_slot(relay, &server, &mut opened, plan);
            (checkpoint, backfill) = held(&mut held_stream, &watch, begun).await?;
            (stream, kafka) = (held_stream, opened);
        } else {
            let mut opened = KafkaSide::open(relay, &topics, key).await?;
            let plan = decide(relay, &server, &opened, gap)?;
            (checkpoint, backfill) =
                begin_with_new_slot(relay, &server, &mut session, &mut opened, plan).await?;
            (stream, kafka) = (start(relay, session).await?, opened);
            watch = relay.watch();
        }
        let parts = Parts {
            stream,
            watch,
            topics,
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

/// Compares the server with the checkpoint; the one place where the policy for gaps is applied.
fn decide(
    relay: &Relay,
    server: &ServerSide,
    kafka: &KafkaSide,
    noticed: Option<Gap>,
) -> Result<Plan, RelayError> {
    let new_slot = !matches!(server.slot.facts, SlotFacts::Ready { .. });
    let gap = match (&kafka.checkpoint, kafka.elsewhere) {
        (Some(checkpoint), _) if checkpoint.wants_backfill() => {
            return Ok(Plan::Begin {
                shared: Lsn::ZERO,
                backfill: Some(Wanted::Everything),
            });
        }
        (Some(checkpoint), _) => {
            let facts = ServerFacts {
                identity: &server.identity,
                left_timeline_at: server.left_timeline_at(checkpoint),
            };
            noticed.or_else(|| gap::between(checkpoint, facts, server.slot.facts))
        }
        (None, Some(before)) => Some(Gap::OtherSystem {
            before,
            now: server.identity.system_id,
        }),
        (None, None) => None,
    };
    match (gap, &kafka.checkpoint) {
        (Some(gap), checkpoint) => bridge(relay, gap, checkpoint.as_ref()),
        (None, Some(checkpoint)) => Ok(Plan::Continue(checkpoint.clone())),
        (None, None) if new_slot && relay.config.relay.snapshot == Snapshot::Initial => {
            Ok(Plan::Begin {
                shared: Lsn::ZERO,
                backfill: Some(Wanted::Everything),
            })
        }
        (None, None) if new_slot => {
            let slot = relay.slot.to_string();
            Err(match server.slot.facts {
                SlotFacts::Lost => RelayError::SlotLost { slot },
                SlotFacts::Missing | SlotFacts::Ready { .. } => RelayError::SlotMissing { slot },
            })
        }
        (None, None) => Ok(Plan::Begin {
            shared: Lsn::ZERO,
            backfill: None,
        }),
    }
}

fn bridge(relay: &Relay, gap: Gap, checkpoint: Option<&Checkpoint>) -> Result<Plan, RelayError> {
    ::metrics::counter!(metric::GAPS).increment(1);
    let shared = match gap {
        Gap::TimelineLeft { left, .. } => left,
        _ => Lsn::ZERO,
    };
    let backfill = match relay.config.relay.on_gap {
        OnGap::Fail => return Err(RelayError::Gap(gap)),
        OnGap::Accept => None,
        OnGap::ReplayTable => Some(Wanted::Missing {
            since: checkpoint
                .filter(|_| !gap.voids_the_checkpoint())
                .and_then(Checkpoint::horizon),
        }),
    };
    let failure = Failure::from_relay(RelayError::Gap(gap), &relay.config);
    tracing::error!(
        code = %failure.code(),
        error = failure.one_line(),
        replay = backfill.is_some(),
        "going on after a gap, as `relay.on_gap` says"
    );
    Ok(Plan::Begin { shared, backfill })
}

/// The slot is being held.
async fn begin_at_slot(
    relay: &Relay,
    server: &ServerSide,
    kafka: &mut KafkaSide,
    plan: Plan,
) -> Result<(Checkpoint, Option<TableBackfill>), RelayError> {
    let (shared, wanted) = match plan {
        Plan::Continue(mut checkpoint) => {
            // A position on the next timeline must not be taken for one that was left with the old one.
            checkpoint.timeline = server.identity.timeline;
            let backfill = match &checkpoint.backfill {
                Some(backfill) => Some(TableBackfill::resume(relay, backfill).await?),
                None => None,
            };
            return Ok((checkpoint, backfill));
        }
        Plan::Begin { shared, backfill } => (shared, backfill),
    };
    let confirmed = match server.slot.facts {
        SlotFacts::Ready { confirmed } => confirmed,
        SlotFacts::Missing | SlotFacts::Lost => Lsn::ZERO,
    };
    let mut checkpoint = Checkpoint::at(
        confirmed.max(shared),
        server.identity.timeline,
        server.slot.catalog_xmin,
    );
    let backfill = match wanted {
        Some(wanted) => {
            let overlap = server.slot.catalog_xmin;
            Some(TableBackfill::begin(relay, wanted, None, overlap).await?)
        }
        None => None,
    };
    checkpoint.backfill = backfill.as_ref().map(TableBackfill::plan);
    kafka.establish(relay, &checkpoint).await?;
    Ok((checkpoint, backfill))
}

async fn begin_with_new_slot(
    relay: &Relay,
    server: &ServerSide,
    session: &mut Session,
    kafka: &mut KafkaSide,
    plan: Plan,
) -> Result<(Checkpoint, Option<TableBackfill>), RelayError> {
    let wanted = match plan {
        Plan::Begin { backfill, .. } => backfill,
        Plan::Continue(_) => None,
    };
    if kafka.checkpoint.is_none() && wanted.is_some() {
        // A crash after the slot was made would otherwise look like a slot without anything before it.
        let mut intent = Checkpoint::at(Lsn::ZERO, server.identity.timeline, None);
        intent.backfill = Some(Backfill::wanted());
        kafka.establish(relay, &intent).await?;
    }
    let created = create_slot(relay, server, session).await?;
    let mut checkpoint = Checkpoint::at(created.consistent_point, server.identity.timeline, None);
    let backfill = match wanted {
        Some(wanted) => {
            let exported = created.snapshot_name.as_deref();
            Some(TableBackfill::begin(relay, wanted, exported, None).await?)
        }
        None => None,
    };
    checkpoint.backfill = backfill.as_ref().map(TableBackfill::plan);
    kafka.establish(relay, &checkpoint).await?;
    Ok((checkpoint, backfill))
}

/// Makes the slot, in place of one that has lost its log.
async fn create_slot(
    relay: &Relay,
    server: &ServerSide,
    session: &mut Session,
) -> Result<CreatedSlot, RelayError> {
    if server.slot.facts == SlotFacts::Lost {
        session
            .drop_slot(&relay.slot)
            .await
            .map_err(postgres("drop the slot that has lost its log"))?;
    }
    let created = session
        .create_slot(&CreateSlot {
            name: relay.slot.clone(),
            temporary: false,
            failover: true,
            snapshot: SnapshotAction::Export,
        })
        .await
        .map_err(postgres("create the replication slot"))?;
    tracing::info!(slot = %relay.slot, at = %created.consistent_point, "made the slot");
    Ok(created)
}

async fn start(relay: &Relay, session: Session) -> Result<ReplicationStream, RelayError> {
    let config = &relay.config;
    let options = StreamOptions {
        slot: relay.slot.clone(),
        publications: vec![relay.publication.clone()],
        messages: !config.outbox.message_prefixes.is_empty(),
        status_interval: STATUS_INTERVAL,
        silence_limit: config.relay.wire_timeout.get(),
    };
    ReplicationStream::start(session, &options)
        .await
        .map_err(postgres("start streaming from the slot"))
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
