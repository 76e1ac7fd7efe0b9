//! The steps, as [`LaneStore`] has them, and those of a worker.

use std::time::Duration;

use cdc_event::{Attempt, DeadHead, Record};
use serde_json::Value;
use tokio_postgres::types::Type;

use super::row::{EVENT, column, lane_id, parked_event};
use super::{Operated, PostgresLanes, remainders};
use crate::assignment::{Assignment, Ownership};
use crate::error::Error;
use crate::lane_id::LaneId;
use crate::remainder::{Remainder, first_due};
use crate::store::{Appended, LaneEventId, LaneStore, Lease, Next, Rest, TakenOver};

const CLAIM: &str = "\
    WITH due AS MATERIALIZED (
        SELECT id
          FROM cdc.lane
         WHERE consumer_group = $1 AND due_at <= now()
         ORDER BY due_at
         LIMIT $2
           FOR UPDATE SKIP LOCKED)
    UPDATE cdc.lane
       SET lease_token = gen_random_uuid(), due_at = now() + make_interval(secs => $3),
           abandoned = lane.abandoned + (lane.lease_token IS NOT NULL)::integer
      FROM due
     WHERE lane.id = due.id
    RETURNING lane.id, lane.lease_token::text AS token";

/// Of the parts of one record that are due the one that was tried least: none keeps the others waiting for good.
fn head() -> String {
    format!(
        "SELECT {EVENT}, lane.abandoned, event.attempts = 0 AND event.position <= lane.dead_through AS given_up,
                CASE WHEN event.due_at > now() THEN extract(epoch FROM event.due_at - now())::float8 END AS wait
           FROM cdc.lane
           LEFT JOIN LATERAL (
                SELECT *
                  FROM cdc.lane_event
                 WHERE lane_id = lane.id AND status = 'open' AND position = (
                       SELECT min(position) FROM cdc.lane_event
                        WHERE lane_id = lane.id AND status IN ('open', 'held'))
                 ORDER BY CASE WHEN due_at > now() THEN due_at END NULLS FIRST, attempts, part
                 LIMIT 1) AS event ON true
          WHERE lane.id = $1 AND lane.lease_token = $2::text::uuid"
    )
}

const RENEW: &str = "\
    UPDATE cdc.lane SET due_at = now() + make_interval(secs => $3)
     WHERE id = $1 AND lease_token = $2::text::uuid
    RETURNING id";

const RELEASE: &str = "\
    UPDATE cdc.lane SET due_at = now() + make_interval(secs => $3), lease_token = NULL
     WHERE id = $1 AND lease_token = $2::text::uuid
    RETURNING id";

impl LaneStore for PostgresLanes {
    async fn take_over(
        &self,
        assignment: &Assignment,
        committed: Option<i64>,
    ) -> Result<TakenOver, Error> {
        self.take(assignment, committed).await
    }

    async fn open(
        &self,
        owner: &Ownership,
        lane: LaneId,
        record: &Record,
        remainders: &[Remainder],
        policy: DeadHead,
    ) -> Result<(), Error> {
        self.put(owner, lane, record, Some((remainders, policy)), u64::MAX)
            .await
            .map(drop)
    }

    async fn append(
        &self,
        owner: &Ownership,
        lane: LaneId,
        record: &Record,
        most: u64,
    ) -> Result<Appended, Error> {
        self.put(owner, lane, record, None, most).await
    }

    async fn forget(
        &self,
        owner: &Ownership,
        committed: i64,
        limit: usize,
    ) -> Result<Vec<(LaneId, i64)>, Error> {
        self.remove(owner, committed, limit).await
    }

    async fn restart(&self, assignment: &Assignment) -> Result<(), Error> {
        let Assignment {
            group,
            topic,
            partition,
            ..
        } = assignment;
        self.begin_anew(group, topic, Some(*partition))
            .await
            .map(drop)
    }

    async fn replay(
        &self,
        group: &str,
        record: &Record,
        attempt: Attempt,
        failed_event: Option<i64>,
    ) -> Result<Operated, Error> {
        self.put_back(group, record, attempt, failed_event).await
    }

    async fn claim(&self, group: &str, limit: usize, lease: Duration) -> Result<Vec<Lease>, Error> {
        let rows = self
            .client()
            .await?
            .query_typed(
                CLAIM,
                &[
                    (&group, Type::TEXT),
                    (&i64::try_from(limit).unwrap_or(i64::MAX), Type::INT8),
                    (&lease.as_secs_f64(), Type::FLOAT8),
                ],
            )
            .await
            .map_err(Error::while_("claim lanes"))?;
        let lease = |row| {
            Ok(Lease {
                lane: lane_id(row, "id")?,
                token: column(row, "token")?,
            })
        };
        rows.iter().map(lease).collect()
    }

    async fn head(&self, lease: &Lease) -> Result<Next, Error> {
        let rows = self
            .client()
            .await?
            .query_typed(
                &head(),
                &[
                    (&lease.lane.as_bytes(), Type::BYTEA),
                    (&lease.token, Type::TEXT),
                ],
            )
            .await
            .map_err(Error::while_("read the head of a lane"))?;
        let row = rows.first().ok_or(Error::LeaseLost)?;
        if let Some(seconds) = column::<Option<f64>>(row, "wait")? {
            let wait = Duration::try_from_secs_f64(seconds);
            return Ok(Next::Later(
                wait.map_err(|error| Error::unreadable("wait", error))?,
            ));
        }
        match column::<Option<i64>>(row, "id")? {
            Some(_) => Ok(Next::Event(Box::new(parked_event(row)?))),
            None => Ok(Next::Held),
        }
    }

    async fn succeeded(
        &self,
        lease: &Lease,
        head: LaneEventId,
        term: Duration,
    ) -> Result<Rest, Error> {
        self.settle(lease, head, None, None, term).await
    }

    async fn failed(
        &self,
        lease: &Lease,
        head: LaneEventId,
        remainders: &[Remainder],
        policy: DeadHead,
        term: Duration,
    ) -> Result<Rest, Error> {
        let left = (!remainders.is_empty()).then(|| remainders::to_json(remainders, policy));
        self.settle(lease, head, left, first_due(remainders), term)
            .await
    }

    async fn renew(&self, lease: &Lease, term: Duration) -> Result<(), Error> {
        self.reschedule(RENEW, lease, Some(term)).await
    }

    async fn release(&self, lease: &Lease, after: Option<Duration>) -> Result<(), Error> {
        self.reschedule(RELEASE, lease, after).await
    }
}

impl PostgresLanes {
    async fn settle(
        &self,
        lease: &Lease,
        head: LaneEventId,
        left: Option<Value>,
        due: Option<Duration>,
        term: Duration,
    ) -> Result<Rest, Error> {
        let rows = self
            .client()
            .await?
            .query_typed(
                "SELECT cdc.lane_settle($1, $2::text::uuid, $3, $4, $5, $6) AS answer",
                &[
                    (&lease.lane.as_bytes(), Type::BYTEA),
                    (&lease.token, Type::TEXT),
                    (&head.get(), Type::INT8),
                    (&term.as_secs_f64(), Type::FLOAT8),
                    (&left, Type::JSONB),
                    (&due.map(|after| after.as_secs_f64()), Type::FLOAT8),
                ],
            )
            .await
            .map_err(Error::while_("record what became of the head of a lane"))?;
        let answer: Option<&str> = rows.first().map(|row| column(row, "answer")).transpose()?;
        match answer {
            Some("more") => Ok(Rest::More),
            Some("released") => Ok(Rest::Released),
            Some("lost") => Err(Error::LeaseLost),
            other => Err(Error::unreadable(
                "answer",
                format!("{other:?} is no answer"),
            )),
        }
    }

    async fn reschedule(
        &self,
        sql: &'static str,
        lease: &Lease,
        after: Option<Duration>,
    ) -> Result<(), Error> {
        let rows = self
            .client()
            .await?
            .query_typed(
                sql,
                &[
                    (&lease.lane.as_bytes(), Type::BYTEA),
                    (&lease.token, Type::TEXT),
                    (&after.map(|after| after.as_secs_f64()), Type::FLOAT8),
                ],
            )
            .await
            .map_err(Error::while_("move the due time of a lane"))?;
        rows.first().map(drop).ok_or(Error::LeaseLost)
    }
}
