//! Takes hold of deliveries, right before they are sent.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Claimed, DeliveryKey, DeliveryState, Epoch, Owner};
use crate::batch::Work;
use crate::error::Error;
use crate::session::{Session, column};

/// The code of a delivery that may have arrived.
pub(crate) const UNKNOWN: &str = "delivery-unknown";

/// When to ask again for what somebody has just taken.
const SOON: Duration = Duration::from_secs(1);

/// A wish for a delivery.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) key: DeliveryKey,
    /// It was asked for by name, by a retry or a replay: one that was refused for good may be tried again.
    pub(crate) asked: bool,
    pub(crate) at_most_once: bool,
}

/// Takes hold of deliveries for one process.
#[derive(Debug)]
pub(crate) struct Claiming {
    pub(crate) session: Session,
    pub(crate) owner: Owner,
    pub(crate) lease: Duration,
}

/// Whoever inserts or updates the row has the delivery; of two at a time PostgreSQL lets one wait for the other.
///
/// Free to be taken are one that comes again, one that its endpoint missed, one whose holder's lease has ended, and our
/// own: what is in flight in this process is not asked for. If the holder that is gone may have sent it, and it must not
/// be sent twice, then what is taken hold of is only the doubt. Rows go in order, so that two batches never wait for
/// each other in a circle. `before` shows the row as it was when the statement began.
const SQL: &str = "
    WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', $7, true) AS setting),
    given AS MATERIALIZED (
        SELECT * FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS given (event_id, endpoint_id, asked, at_most_once, place)),
    claimed AS (
        INSERT INTO cdc.delivery AS held (event_id, endpoint_id, state, owner, lease_until, at_most_once)
        SELECT event_id, endpoint_id, 'claimed', $5, now() + make_interval(secs => $6), at_most_once
          FROM durable, given ORDER BY event_id, endpoint_id
        ON CONFLICT (event_id, endpoint_id) DO UPDATE
           SET (state, owner, lease_until, code) = (
                   SELECT CASE WHEN doubt THEN 'unknown' ELSE 'claimed' END,
                          CASE WHEN NOT doubt THEN EXCLUDED.owner END,
                          CASE WHEN NOT doubt THEN EXCLUDED.lease_until END,
                          CASE WHEN doubt THEN $8 ELSE held.code END
                     FROM (SELECT held.state = 'claimed' AND held.owner <> EXCLUDED.owner
                                  AND (held.at_most_once OR EXCLUDED.at_most_once)) AS looked (doubt)),
               epoch = held.epoch + 1, at_most_once = EXCLUDED.at_most_once, changed_at = now()
         WHERE held.state IN ('retrying', 'missed')
            OR held.state = 'claimed' AND (held.lease_until < now() OR held.owner = EXCLUDED.owner)
            OR held.state = 'failed' AND EXISTS (
                   SELECT FROM given
                    WHERE given.event_id = held.event_id AND given.endpoint_id = held.endpoint_id AND given.asked)
        RETURNING event_id, endpoint_id, state, epoch)
    SELECT claimed.state AS state, claimed.epoch AS epoch, before.state AS state_before, before.code AS code_before,
           extract(epoch FROM before.lease_until - now())::float8 AS lease_before
      FROM given
      LEFT JOIN claimed USING (event_id, endpoint_id)
      LEFT JOIN cdc.delivery AS before USING (event_id, endpoint_id)
     ORDER BY place";

impl Work for Claiming {
    type Item = Claim;
    type Answer = Claimed;

    async fn run(&mut self, items: &[Claim]) -> Result<Vec<Claimed>, Error> {
        let events: Vec<&str> = items.iter().map(|item| &*item.key.event).collect();
        let endpoints: Vec<&str> = items
            .iter()
            .map(|item| item.key.endpoint.as_str())
            .collect();
        let asked: Vec<bool> = items.iter().map(|item| item.asked).collect();
        let at_most_once: Vec<bool> = items.iter().map(|item| item.at_most_once).collect();
        // A claim that a crash of the server loses is sent again. Only who must not do that has to wait for the disk.
        let durable = if at_most_once.contains(&true) {
            "on"
        } else {
            "off"
        };
        let (owner, lease) = (&*self.owner.0, self.lease.as_secs_f64());
        let rows = self
            .session
            .query(
                "claim deliveries",
                SQL,
                &[
                    (&events, Type::TEXT_ARRAY),
                    (&endpoints, Type::TEXT_ARRAY),
                    (&asked, Type::BOOL_ARRAY),
                    (&at_most_once, Type::BOOL_ARRAY),
                    (&owner, Type::TEXT),
                    (&lease, Type::FLOAT8),
                    (&durable, Type::TEXT),
                    (&UNKNOWN, Type::TEXT),
                ],
            )
            .await?;
        rows.iter().map(claimed).collect()
    }
}

fn claimed(row: &Row) -> Result<Claimed, Error> {
    let Some(state) = state(row, "state")? else {
        return not_claimed(row);
    };
    match state {
        DeliveryState::Claimed => column(row, "epoch").map(|epoch| Claimed::Ours(Epoch(epoch))),
        _ => Ok(Claimed::Unknown),
    }
}

fn not_claimed(row: &Row) -> Result<Claimed, Error> {
    Ok(match state(row, "state_before")? {
        Some(DeliveryState::Delivered) => Claimed::Delivered,
        Some(DeliveryState::Unknown) => Claimed::Unknown,
        Some(DeliveryState::Failed) => Claimed::Failed {
            code: column::<Option<String>>(row, "code_before")?.unwrap_or_default(),
        },
        Some(DeliveryState::Claimed) => {
            let lease: Option<f64> = column(row, "lease_before")?;
            let lease = Duration::try_from_secs_f64(lease.unwrap_or_default()).unwrap_or_default();
            Claimed::Elsewhere {
                retry_after: lease.max(SOON),
            }
        }
        // Somebody else took it while this statement ran.
        Some(DeliveryState::Retrying | DeliveryState::Missed) | None => {
            Claimed::Elsewhere { retry_after: SOON }
        }
    })
}

fn state(row: &Row, name: &'static str) -> Result<Option<DeliveryState>, Error> {
    let text: Option<&str> = column(row, name)?;
    text.map(|text| text.parse().map_err(|error| Error::unreadable(name, error)))
        .transpose()
}
