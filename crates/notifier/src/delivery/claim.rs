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

/// Most deliveries are new, and this is all that they need.
const NEW: &str = "SELECT cdc.claim_new_deliveries($1, $2, $3, $4, $5, $6) AS all_are_new";

/// For those that may be known. Whoever inserts or updates the row has the delivery; of two at a time PostgreSQL lets
/// one wait for the other. Rows go in order, so that two batches never wait for each other in a circle.
///
/// Free to be taken are one that comes again, one that its endpoint missed, one whose holder's lease has ended, and our
/// own: what is in flight in this process is not asked for. If the holder that is gone may have sent it, and it must not
/// be sent twice, then what is taken hold of is only the doubt. What has failed and was not told yet is not taken: it counts
/// as told from then on; a version that knows nothing of that leaves the mark in other states. `before` shows the row as it was when the statement began.
const ANY: &str = "
    WITH durable AS MATERIALIZED (
        SELECT set_config('synchronous_commit', CASE WHEN $6 THEN 'on' ELSE 'off' END, true) AS setting),
    given AS MATERIALIZED (
        SELECT * FROM unnest($1, $2, $3, $7) WITH ORDINALITY AS given (event_id, endpoint_id, at_most_once, asked, place)),
    claimed AS (
        INSERT INTO cdc.delivery AS held (event_id, endpoint_id, state, owner, lease_until, at_most_once)
        SELECT event_id, endpoint_id, 'claimed', $4, now() + make_interval(secs => $5), at_most_once
          FROM durable, given ORDER BY place
        ON CONFLICT (event_id, endpoint_id) DO UPDATE
           SET (state, owner, lease_until, code, epoch, changed_at) = (
                   SELECT CASE WHEN belated THEN held.state WHEN doubt THEN 'unknown' ELSE 'claimed' END,
                          CASE WHEN NOT doubt AND NOT belated THEN EXCLUDED.owner END,
                          CASE WHEN NOT doubt AND NOT belated THEN EXCLUDED.lease_until END,
                          CASE WHEN doubt THEN $8 ELSE held.code END,
                          CASE WHEN belated THEN held.epoch ELSE held.epoch + 1 END,
                          CASE WHEN belated THEN held.changed_at ELSE now() END
                     FROM (SELECT held.state = 'claimed' AND held.owner <> EXCLUDED.owner
                                  AND (held.at_most_once OR EXCLUDED.at_most_once),
                                  held.untold AND held.state IN ('retrying', 'failed')) AS looked (doubt, belated)),
               untold = false, at_most_once = EXCLUDED.at_most_once
         WHERE held.state IN ('retrying', 'missed')
            OR held.state = 'claimed' AND (held.lease_until < now() OR held.owner = EXCLUDED.owner)
            OR held.state = 'failed' AND (held.untold OR EXISTS (
                   SELECT FROM given
                    WHERE given.event_id = held.event_id AND given.endpoint_id = held.endpoint_id AND given.asked))
        RETURNING event_id, endpoint_id, state, epoch, status, code)
    SELECT claimed.state AS state, claimed.epoch AS epoch, claimed.status AS status, claimed.code AS code, before.state AS state_before, before.code AS code_before,
           extract(epoch FROM before.lease_until - now())::float8 AS lease_before
      FROM given
      LEFT JOIN claimed USING (event_id, endpoint_id)
      -- One look for each, however small the table is.
      LEFT JOIN LATERAL (
            SELECT * FROM cdc.delivery AS known
             WHERE known.event_id = given.event_id AND known.endpoint_id = given.endpoint_id LIMIT 1) AS before ON true
     ORDER BY place";

impl Work for Claiming {
    type Item = Claim;
    type Answer = Claimed;

    async fn run(&mut self, items: &[Claim]) -> Result<Vec<Claimed>, Error> {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_unstable_by(|one, other| items[*one].key.cmp(&items[*other].key));
        let sorted: Vec<&Claim> = order.iter().map(|place| &items[*place]).collect();
        // What was asked for by name is known already.
        if items.iter().all(|item| !item.asked) && self.all_are_new(&sorted).await? {
            return Ok(vec![Claimed::Ours(Epoch::FIRST); items.len()]);
        }
        let claimed = self.any(&sorted).await?;
        let mut answers: Vec<_> = order.into_iter().zip(claimed).collect();
        answers.sort_unstable_by_key(|(place, _)| *place);
        Ok(answers.into_iter().map(|(_, claimed)| claimed).collect())
    }
}

impl Claiming {
    /// Claims them if nobody has claimed any of them before, and gives whether that was so.
    async fn all_are_new(&mut self, claims: &[&Claim]) -> Result<bool, Error> {
        let Columns {
            events,
            endpoints,
            at_most_once,
        } = Columns::of(claims);
        let (owner, lease) = (&*self.owner.0, self.lease.as_secs_f64());
        let rows = self
            .session
            .query(
                "claim deliveries",
                NEW,
                &[
                    (&events, Type::TEXT_ARRAY),
                    (&endpoints, Type::TEXT_ARRAY),
                    (&at_most_once, Type::BOOL_ARRAY),
                    (&owner, Type::TEXT),
                    (&lease, Type::FLOAT8),
                    (&must_last(claims), Type::BOOL),
                ],
            )
            .await?;
        rows.first()
            .map_or(Ok(false), |row| column(row, "all_are_new"))
    }

    async fn any(&mut self, claims: &[&Claim]) -> Result<Vec<Claimed>, Error> {
        let Columns {
            events,
            endpoints,
            at_most_once,
        } = Columns::of(claims);
        let asked: Vec<bool> = claims.iter().map(|claim| claim.asked).collect();
        let (owner, lease) = (&*self.owner.0, self.lease.as_secs_f64());
        let rows = self
            .session
            .query(
                "claim deliveries",
                ANY,
                &[
                    (&events, Type::TEXT_ARRAY),
                    (&endpoints, Type::TEXT_ARRAY),
                    (&at_most_once, Type::BOOL_ARRAY),
                    (&owner, Type::TEXT),
                    (&lease, Type::FLOAT8),
                    (&must_last(claims), Type::BOOL),
                    (&asked, Type::BOOL_ARRAY),
                    (&UNKNOWN, Type::TEXT),
                ],
            )
            .await?;
        rows.iter().map(claimed).collect()
    }
}

/// Claims, as the statements take them.
struct Columns<'a> {
    events: Vec<&'a str>,
    endpoints: Vec<&'a str>,
    at_most_once: Vec<bool>,
}

impl<'a> Columns<'a> {
    fn of(claims: &[&'a Claim]) -> Self {
        let columns = claims.iter().map(|claim| &claim.key);
        Self {
            events: columns.clone().map(|key| &*key.event).collect(),
            endpoints: columns.map(|key| key.endpoint.as_str()).collect(),
            at_most_once: claims.iter().map(|claim| claim.at_most_once).collect(),
        }
    }
}

/// A claim that a crash of the server loses is sent again. Only who must not do that has to wait for the disk.
fn must_last(claims: &[&Claim]) -> bool {
    claims.iter().any(|claim| claim.at_most_once)
}

fn claimed(row: &Row) -> Result<Claimed, Error> {
    let Some(state) = state(row, "state")? else {
        return not_claimed(row);
    };
    match state {
        DeliveryState::Claimed => column(row, "epoch").map(|epoch| Claimed::Ours(Epoch(epoch))),
        DeliveryState::Retrying => untold(row, true),
        DeliveryState::Failed => untold(row, false),
        DeliveryState::Unknown | DeliveryState::Delivered | DeliveryState::Missed => {
            Ok(Claimed::Unknown)
        }
    }
}

fn untold(row: &Row, again: bool) -> Result<Claimed, Error> {
    let status: Option<i32> = column(row, "status")?;
    Ok(Claimed::Untold {
        code: column::<Option<String>>(row, "code")?.unwrap_or_default(),
        status: status.and_then(|status| u16::try_from(status).ok()),
        again,
    })
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
