//! What changes the number of shards: the slots of the new shards take over where those of the old ones end.

use pg_lsn::Lsn;
use pg_replication::{Session, SystemIdentity};

use super::checkpoint::{Checkpoint, CheckpointKey};
use super::error::RelayError;
use super::kafka_side::KafkaSide;
use super::slot;
use super::topics::TopicFinder;
use super::{PRODUCER_FAREWELL, Relay};
use crate::failure::Failure;

/// What Kafka is known to have by a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handed {
    /// Everything before.
    pub(crate) lsn: Lsn,
    /// Rows of the tables are not all there yet.
    pub(crate) reads_tables: bool,
}

impl Relay {
    /// How far the slot has been relayed, by its checkpoint; `None` without one. No other relay of the slot goes on
    /// after that.
    ///
    /// # Errors
    ///
    /// PostgreSQL or Kafka refuses. While Kafka is away, it waits.
    pub(crate) async fn handed(&self) -> Result<Option<Handed>, Failure> {
        let looked = async {
            let (_session, kafka, _identity) = self.both_sides().await?;
            let handed = kafka.checkpoint.as_ref().map(|checkpoint| Handed {
                lsn: checkpoint.lsn,
                reads_tables: checkpoint.backfill.is_some(),
            });
            kafka.close(PRODUCER_FAREWELL).await;
            Ok(handed)
        };
        looked
            .await
            .map_err(|error| Failure::from_relay(error, &self.config))
    }

    /// Notes that Kafka has each transaction of this slot whose commit record begins before `lsn`, and none of the
    /// others.
    ///
    /// # Errors
    ///
    /// As [`handed`](Self::handed).
    pub(crate) async fn take_over_at(&self, lsn: Lsn) -> Result<(), Failure> {
        let written = async {
            let (mut session, mut kafka, identity) = self.both_sides().await?;
            // It was taken before the slot's consistent point, which is before `lsn`.
            let horizon = slot::look(&mut session, &self.slot).await?.catalog_xmin;
            let checkpoint = Checkpoint::at(lsn, identity.timeline, horizon);
            kafka.establish(self, &checkpoint).await?;
            kafka.close(PRODUCER_FAREWELL).await;
            Ok(())
        };
        written
            .await
            .map_err(|error| Failure::from_relay(error, &self.config))
    }

    async fn both_sides(&self) -> Result<(Session, KafkaSide, SystemIdentity), RelayError> {
        let postgres = |doing| move |source| RelayError::Postgres { doing, source };
        let mut session = Session::connect(&self.postgres)
            .await
            .map_err(postgres("connect to PostgreSQL"))?;
        let identity = session.identify_system().await;
        let identity = identity.map_err(postgres("identify the server"))?;
        let key = CheckpointKey::new(&identity, &self.slot);
        let kafka = KafkaSide::open(self, &TopicFinder::new(self), key).await?;
        Ok((session, kafka, identity))
    }
}
