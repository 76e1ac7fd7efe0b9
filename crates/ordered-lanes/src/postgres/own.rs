//! Who owns a partition.

use tokio_postgres::types::Type;

use super::PostgresLanes;
use super::row::{column, lane_id};
use crate::assignment::{Assignment, Epoch, Ownership};
use crate::error::Error;
use crate::lane_id::LaneId;
use crate::store::{KnownLane, TakenOver};

/// Waits for what the old owner is doing; on disk whatever the server's default is, so that no epoch comes twice.
const TAKE: &str = "\
    WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true) AS setting)
    INSERT INTO cdc.lane_owner AS owner (consumer_group, topic, partition, epoch)
    SELECT $1, $2, $3, 1 FROM durable
    ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET epoch = owner.epoch + 1, taken_at = now()
    RETURNING epoch";

/// Of the partition what is open or may be read again. Of other partitions what is open and was filled when the
/// topic had another number of them, as its key may be here now.
const LOAD: &str = "\
    SELECT id, events > 0 AS open, last_offset AS through
      FROM cdc.lane
     WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND (events > 0 OR last_offset >= $4)
     UNION ALL
    SELECT id, true, NULL
      FROM cdc.lane
     WHERE consumer_group = $1 AND topic = $2 AND partition <> $3 AND partition_count NOT IN (0, $5) AND events > 0";

/// What is held by a worker just now is not worth waiting for: it goes the next time.
const FORGET: &str = "\
    WITH passed AS MATERIALIZED (
        SELECT id
          FROM cdc.lane
         WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND events = 0 AND last_offset < $4
         LIMIT $5
           FOR UPDATE SKIP LOCKED)
    DELETE FROM cdc.lane USING passed WHERE lane.id = passed.id AND lane.events = 0
    RETURNING lane.id, lane.last_offset";

/// Waits for what owners are doing, and fences them.
const FENCE: &str = "\
    UPDATE cdc.lane_owner SET epoch = epoch + 1
     WHERE consumer_group = $1 AND topic = $2 AND ($3::integer IS NULL OR partition = $3)";

const RESET: &str = "\
    WITH empty AS (
        DELETE FROM cdc.lane
         WHERE consumer_group = $1 AND topic = $2 AND ($3::integer IS NULL OR partition = $3) AND events = 0)
    UPDATE cdc.lane SET last_offset = -1, generation = generation + 1
     WHERE consumer_group = $1 AND topic = $2 AND ($3::integer IS NULL OR partition = $3) AND events > 0
    RETURNING id";

impl PostgresLanes {
    /// Forgets at which offsets a topic's records were put into lanes, and says how many lanes are open. To be called
    /// after the topic was made anew, or before the group's offsets are set back on purpose, with the group's
    /// consumers stopped: otherwise new records of an open key may be taken for old ones and passed over. What is in
    /// lanes stays there, and what is read from now on comes behind it.
    ///
    /// May be dropped and done again.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn reset_offsets(&self, group: &str, topic: &str) -> Result<usize, Error> {
        self.begin_anew(group, topic, None).await
    }

    /// Of all partitions, or of one.
    pub(super) async fn begin_anew(
        &self,
        group: &str,
        topic: &str,
        partition: Option<i32>,
    ) -> Result<usize, Error> {
        let client = self.client().await?;
        let mut open = 0;
        for sql in [FENCE, RESET] {
            let rows = client
                .query_typed(
                    sql,
                    &[
                        (&group, Type::TEXT),
                        (&topic, Type::TEXT),
                        (&partition, Type::INT4),
                    ],
                )
                .await
                .map_err(Error::while_("forget the offsets of a topic"))?;
            open = rows.len();
        }
        Ok(open)
    }

    pub(super) async fn take(
        &self,
        assignment: &Assignment,
        committed: Option<i64>,
    ) -> Result<TakenOver, Error> {
        let Assignment {
            group,
            topic,
            partition,
            partition_count,
        } = assignment;
        let client = self.client().await?;
        let epoch = client
            .query_typed(
                TAKE,
                &[
                    (group, Type::TEXT),
                    (topic, Type::TEXT),
                    (partition, Type::INT4),
                ],
            )
            .await
            .map_err(Error::while_("take over the lanes of a partition"))?;
        let epoch = epoch
            .first()
            .ok_or_else(|| Error::unreadable("epoch", "the database gave none"))?;
        let rows = client
            .query_typed(
                LOAD,
                &[
                    (group, Type::TEXT),
                    (topic, Type::TEXT),
                    (partition, Type::INT4),
                    (&committed.unwrap_or(0), Type::INT8),
                    (partition_count, Type::INT4),
                ],
            )
            .await
            .map_err(Error::while_("load the open lanes of a partition"))?;
        let lane = |row| {
            Ok(KnownLane {
                id: lane_id(row, "id")?,
                open: column(row, "open")?,
                through: column(row, "through")?,
            })
        };
        Ok(TakenOver {
            epoch: Epoch::new(column(epoch, "epoch")?),
            lanes: rows.iter().map(lane).collect::<Result<_, Error>>()?,
        })
    }

    pub(super) async fn remove(
        &self,
        owner: &Ownership,
        committed: i64,
        limit: usize,
    ) -> Result<Vec<(LaneId, i64)>, Error> {
        let Assignment {
            group,
            topic,
            partition,
            ..
        } = &owner.assignment;
        let rows = self
            .client()
            .await?
            .query_typed(
                FORGET,
                &[
                    (group, Type::TEXT),
                    (topic, Type::TEXT),
                    (partition, Type::INT4),
                    (&committed, Type::INT8),
                    (&i64::try_from(limit).unwrap_or(i64::MAX), Type::INT8),
                ],
            )
            .await
            .map_err(Error::while_("remove lanes that are done"))?;
        rows.iter()
            .map(|row| Ok((lane_id(row, "id")?, column(row, "last_offset")?)))
            .collect()
    }
}
