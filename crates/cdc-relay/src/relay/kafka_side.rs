//! Kafka's side of a session: the producer, and what the checkpoint topic remembers.

use std::sync::Arc;
use std::time::Duration;

use cdc_kafka::{
    Latest, OrderedProducer, TransactionTimeout, TransactionalId, TransactionalProducer, latest,
};
use pg_replication::pgoutput::Xid;
use tokio::sync::watch;

use super::Relay;
use super::checkpoint::{Checkpoint, CheckpointKey};
use super::error::RelayError;
use super::gap::Elsewhere;
use super::outbound::{AtLeastOnce, Checkpoints, ExactlyOnce, Outbound, TransactionLimits};
use super::topics::TopicFinder;
use crate::complaints::Complaints;
use crate::config::Delivery;
use crate::failure::Failure;

/// How long Kafka may take for one step of the opening, before the session starts afresh.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to take the transactional id over, before that is begun anew: a client that asked while the
/// cluster had no broker, as one that comes back from a pause says for a moment, has forgotten them all, and waits in vain.
const TAKEOVER: Duration = Duration::from_secs(20);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// With a backlog a transaction is worth its price if it is long; what a reader waits for is no matter then.
const BACKLOG_INTERVAL: Duration = Duration::from_millis(300);

/// One of the two producers.
#[derive(Debug)]
enum Producer {
    Ordered(OrderedProducer),
    Transactional(TransactionalProducer),
}

/// What is known once Kafka is connected.
#[derive(Debug)]
pub(super) struct KafkaSide {
    producer: Producer,
    key: CheckpointKey,
    pub(super) checkpoint: Option<Checkpoint>,
    /// Another server of whose slot with this name there is a checkpoint, if there is none of this one's, which may have
    /// taken its place.
    pub(super) elsewhere: Option<Elsewhere>,
}

impl KafkaSide {
    /// Connects, takes the transactional id over from whoever had it, and reads the newest checkpoint.
    ///
    /// Without a limit while Kafka is away.
    pub(super) async fn open(
        relay: &Relay,
        topics: &TopicFinder<'_>,
        key: CheckpointKey,
    ) -> Result<Self, RelayError> {
        let topic = relay.config.relay.checkpoint_topic.as_str();
        let complaints = Complaints::default();
        loop {
            // Side by side: with the topic there, to look for it costs no time of its own. It is also what says soon
            // that Kafka is away.
            let look = topics.find_checkpoints(topic, &complaints);
            let ((), opened) = tokio::try_join!(look, Self::insist(relay, &key, &complaints))?;
            // The topic was made just now, or the cluster is just starting and denies topics that it has.
            if let Some(side) = opened {
                return Ok(side);
            }
        }
    }

    /// Tries until Kafka answers; `None` if it has no topic for checkpoints.
    async fn insist(
        relay: &Relay,
        key: &CheckpointKey,
        complaints: &Complaints,
    ) -> Result<Option<Self>, RelayError> {
        let mut login_refused = false;
        loop {
            let error = match Self::connect(relay, key).await {
                Ok(side) => return Ok(side),
                Err(error) if error.next() == super::error::Next::Reconnect => error,
                // A broker that is just starting refuses users whom it will know in a moment.
                Err(error) if error.refuses_login() && !login_refused => error,
                Err(error) => return Err(error),
            };
            login_refused = error.refuses_login();
            let failure = Failure::from_relay(error, &relay.config);
            complaints.about("Kafka", &failure);
            relay.state.failed(&failure);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn connect(relay: &Relay, key: &CheckpointKey) -> Result<Option<Self>, RelayError> {
        let producer = Producer::open(relay, key).await?;
        let topic = relay.config.relay.checkpoint_topic.as_str();
        let same_slot = {
            let key = key.clone();
            move |other: &[u8]| key.same_slot_elsewhere(other).is_some()
        };
        let name = key.to_string();
        let found = latest(&relay.kafka, topic, name.as_bytes(), same_slot, PATIENCE);
        let found = found.await.map_err(|source| RelayError::Kafka {
            doing: "read the checkpoint",
            source,
        })?;
        let (checkpoint, elsewhere) = match found {
            Latest::Value(json) => {
                let checkpoint =
                    Checkpoint::from_json(&json).map_err(|source| RelayError::Checkpoint {
                        key: key.to_string(),
                        source,
                    })?;
                (Some(checkpoint), None)
            }
            Latest::Other { key: other, value } => {
                let system_id = key.same_slot_elsewhere(&other);
                (None, system_id.map(|id| Elsewhere::new(id, &value)))
            }
            Latest::Absent => (None, None),
            Latest::MissingTopic => return Ok(None),
        };
        Ok(Some(Self {
            producer,
            key: key.clone(),
            checkpoint,
            elsewhere,
        }))
    }

    /// Writes a checkpoint before there are events, and waits until Kafka has it.
    ///
    /// # Errors
    ///
    /// [`RelayError::CheckpointTopicDenied`], so that no event is taken to be at fault.
    pub(super) async fn establish(
        &mut self,
        relay: &Relay,
        checkpoint: &Checkpoint,
    ) -> Result<(), RelayError> {
        let checkpoints = self.checkpoints(relay, checkpoint.clone(), watch::channel(None).1);
        let written = match &mut self.producer {
            Producer::Ordered(producer) => {
                AtLeastOnce::write(producer, &checkpoints, checkpoint).await
            }
            Producer::Transactional(producer) => {
                ExactlyOnce::write(producer, &checkpoints, checkpoint).await
            }
        };
        if let Err(error) = written {
            let topic = relay.config.relay.checkpoint_topic.clone();
            return Err(match error.is_denied() {
                true => RelayError::CheckpointTopicDenied { topic },
                false => error,
            });
        }
        self.checkpoint = Some(checkpoint.clone());
        Ok(())
    }

    /// Lets go without sending anything; false when the producer goes on ending in the background.
    pub(super) async fn close(self, limit: Duration) -> bool {
        match self.producer {
            Producer::Ordered(producer) => producer.close(limit).await,
            Producer::Transactional(producer) => producer.close(limit).await,
        }
    }

    /// Ready to send; `checkpoint` is in Kafka.
    pub(super) fn into_outbound(
        self,
        relay: &Relay,
        checkpoint: Checkpoint,
        horizon: watch::Receiver<Option<Xid>>,
    ) -> Outbound {
        let checkpoints = self.checkpoints(relay, checkpoint, horizon);
        match self.producer {
            Producer::Ordered(producer) => {
                Outbound::AtLeastOnce(AtLeastOnce::new(producer, checkpoints))
            }
            Producer::Transactional(producer) => {
                let limits = TransactionLimits {
                    interval: relay.config.relay.transaction_interval.get(),
                    backlog_interval: BACKLOG_INTERVAL,
                    records: relay.config.relay.transaction_max_records.get() as usize,
                    bytes: relay.config.relay.max_in_flight.bytes().saturating_mul(4),
                };
                Outbound::ExactlyOnce(ExactlyOnce::new(producer, limits, checkpoints))
            }
        }
    }

    fn checkpoints(
        &self,
        relay: &Relay,
        durable: Checkpoint,
        horizon: watch::Receiver<Option<Xid>>,
    ) -> Checkpoints {
        let topic = Arc::from(relay.config.relay.checkpoint_topic.as_str());
        Checkpoints::new(topic, &self.key, durable, horizon)
    }
}

impl Producer {
    async fn open(relay: &Relay, key: &CheckpointKey) -> Result<Self, RelayError> {
        match relay.config.relay.delivery {
            Delivery::AtLeastOnce => AtLeastOnce::producer_of(relay).map(Self::Ordered),
            Delivery::ExactlyOnce => {
                // Two systems may well have a slot of the same name and share a Kafka.
                #[expect(clippy::expect_used, reason = "neither empty nor with a NUL")]
                let id = TransactionalId::new(format!("cdc-relay/{key}"))
                    .expect("a number and a slot name");
                let timeout = TransactionTimeout::DEFAULT;
                TransactionalProducer::open(&relay.kafka, relay.limits, &id, timeout, TAKEOVER)
                    .await
                    .map(Self::Transactional)
                    .map_err(|source| RelayError::Kafka {
                        doing: "start the Kafka producer",
                        source,
                    })
            }
        }
    }
}
