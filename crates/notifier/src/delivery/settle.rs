//! Writes down what became of deliveries, right after it is known.

use std::time::Duration;

use cdc_event::RetryPolicy;
use tokio::time::sleep;
use tokio_postgres::types::Type;
use tracing::warn;

use super::{DeliveryKey, DeliveryState, Epoch, Owner};
use crate::batch::Work;
use crate::error::Error;
use crate::metric;
use crate::session::{Parameter, Session, column};
use crate::waits::WaitedFor;
use cdc_event::random_fraction;

/// What became of a delivery.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) key: DeliveryKey,
    pub(crate) epoch: Epoch,
    pub(crate) state: DeliveryState,
    pub(crate) status: Option<u16>,
    /// Why it did not arrive.
    pub(crate) code: Option<String>,
    /// The beginning of the answer.
    pub(crate) excerpt: Option<String>,
    /// Where its record is, if it did not arrive.
    pub(crate) origin: Option<String>,
    /// How long the request took, if it is to be kept.
    pub(crate) logged: Option<Duration>,
    pub(crate) waited_for: WaitedFor,
}

/// Writes down what became of the deliveries of one process, however long the database is away.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) session: Session,
    pub(crate) owner: Owner,
    /// Requests could not be kept the last time, which has been said.
    pub(crate) log_fails: bool,
}

/// What is done, for messages.
const DOING: &str = "write down outcomes of deliveries";

/// Most deliveries arrive, and this is all that is to be said of them.
const ARRIVED: &str = "SELECT cdc.settle_arrived($1, $2, $3) AS settled";

/// For those of which there is more to say. Only the holder says what became of it, with one exception: that it arrived is a fact, whoever heard it, and settles
/// a doubt. The statement may be sent twice.
///
/// `(SELECT $1)` hides from the planner how many there are: on a table that is not large yet it would read all of it in
/// place of one row for each.
const ANY: &str = "
    WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true) AS setting),
    given AS MATERIALIZED (
        SELECT * FROM unnest((SELECT $1), (SELECT $2), (SELECT $3), (SELECT $4), (SELECT $5), (SELECT $6), (SELECT $7),
                             (SELECT $8), (SELECT $10))
                   AS given (event_id, endpoint_id, epoch, state, status, code, excerpt, origin, untold))
    UPDATE cdc.delivery AS held
       SET state = given.state, owner = NULL, lease_until = NULL, status = given.status, code = given.code,
           excerpt = given.excerpt, origin = given.origin, untold = given.untold, changed_at = now()
      FROM durable, given
     WHERE held.event_id = given.event_id AND held.endpoint_id = given.endpoint_id
       AND (held.state = 'claimed' AND held.owner = $9 AND held.epoch = given.epoch
            OR given.state = 'delivered' AND held.state <> 'delivered')";

/// A request is kept whoever holds its delivery. Apart from the outcomes, which must be written down whether this can be or
/// not.
const LOG: &str = "
    INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, milliseconds, status, code, excerpt)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT DO NOTHING";

impl Work for Settling {
    type Item = Settlement;
    type Answer = ();

    /// Tries until it is done: what was sent must not be sent again because the database was away for a moment.
    async fn run(&mut self, items: &[Settlement]) -> Result<Vec<()>, Error> {
        let pauses = RetryPolicy::new(Duration::from_millis(50), Duration::from_secs(5));
        let mut failures = 0;
        loop {
            match self.settle(items).await {
                Ok(settled) => {
                    // The others were no longer ours to say.
                    metrics::counter!(metric::FENCED)
                        .increment((items.len() as u64).saturating_sub(settled));
                    return Ok(vec![(); items.len()]);
                }
                Err(error) => {
                    metrics::counter!(metric::STORE_ERRORS).increment(1);
                    if failures == 0 {
                        warn!(
                            { metric::DELIVERIES_WAITING } = items.len(),
                            error = &error as &dyn std::error::Error,
                            "outcomes of deliveries cannot be written down; trying until they can"
                        );
                    }
                    sleep(pauses.delay(failures, random_fraction())).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }
}

impl Settling {
    /// Gives how many were ours to say.
    async fn settle(&mut self, items: &[Settlement]) -> Result<u64, Error> {
        if items.iter().all(Settlement::just_arrived) {
            return self.arrived(items).await;
        }
        let settled = self.any(items).await?;
        self.log(items).await;
        Ok(settled)
    }

    async fn arrived(&mut self, items: &[Settlement]) -> Result<u64, Error> {
        let (events, endpoints) = keys(items.iter());
        let statuses = statuses(items.iter());
        let parameters: [Parameter<'_>; 3] = [
            (&events, Type::TEXT_ARRAY),
            (&endpoints, Type::TEXT_ARRAY),
            (&statuses, Type::INT4_ARRAY),
        ];
        let rows = self.session.query(DOING, ARRIVED, &parameters).await?;
        let settled: i64 = rows.first().map_or(Ok(0), |row| column(row, "settled"))?;
        Ok(settled.unsigned_abs())
    }

    async fn any(&mut self, items: &[Settlement]) -> Result<u64, Error> {
        let (events, endpoints) = keys(items.iter());
        let epochs: Vec<i64> = items.iter().map(|item| item.epoch.0).collect();
        let states: Vec<&str> = items.iter().map(|item| item.state.as_str()).collect();
        let statuses = statuses(items.iter());
        let codes: Vec<Option<&str>> = items.iter().map(|item| item.code.as_deref()).collect();
        let excerpts: Vec<Option<&str>> =
            items.iter().map(|item| item.excerpt.as_deref()).collect();
        let origins: Vec<Option<&str>> = items.iter().map(|item| item.origin.as_deref()).collect();
        let untold: Vec<bool> = items.iter().map(Settlement::is_untold).collect();
        let owner = &*self.owner.0;
        self.session
            .execute(
                DOING,
                ANY,
                &[
                    (&events, Type::TEXT_ARRAY),
                    (&endpoints, Type::TEXT_ARRAY),
                    (&epochs, Type::INT8_ARRAY),
                    (&states, Type::TEXT_ARRAY),
                    (&statuses, Type::INT4_ARRAY),
                    (&codes, Type::TEXT_ARRAY),
                    (&excerpts, Type::TEXT_ARRAY),
                    (&origins, Type::TEXT_ARRAY),
                    (&owner, Type::TEXT),
                    (&untold, Type::BOOL_ARRAY),
                ],
            )
            .await
    }

    /// Keeps requests, if that can be done now.
    async fn log(&mut self, items: &[Settlement]) {
        let logged = || items.iter().filter(|item| item.logged.is_some());
        let took: Vec<i32> = items
            .iter()
            .filter_map(|item| item.logged)
            .map(|took| i32::try_from(took.as_millis()).unwrap_or(i32::MAX))
            .collect();
        if took.is_empty() {
            return;
        }
        let (events, endpoints) = keys(logged());
        let epochs: Vec<i64> = logged().map(|item| item.epoch.0).collect();
        let statuses = statuses(logged());
        let codes: Vec<Option<&str>> = logged().map(|item| item.code.as_deref()).collect();
        let excerpts: Vec<Option<&str>> = logged().map(|item| item.excerpt.as_deref()).collect();
        let parameters: [Parameter<'_>; 7] = [
            (&events, Type::TEXT_ARRAY),
            (&endpoints, Type::TEXT_ARRAY),
            (&epochs, Type::INT8_ARRAY),
            (&took, Type::INT4_ARRAY),
            (&statuses, Type::INT4_ARRAY),
            (&codes, Type::TEXT_ARRAY),
            (&excerpts, Type::TEXT_ARRAY),
        ];
        let kept = self.session.execute("keep requests", LOG, &parameters);
        match kept.await {
            Ok(_) => self.log_fails = false,
            Err(error) => {
                metrics::counter!(metric::STORE_ERRORS).increment(1);
                if !self.log_fails {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "requests and their answers cannot be kept; their outcomes are"
                    );
                }
                self.log_fails = true;
            }
        }
    }
}

impl Settlement {
    /// Nobody will hear of the failure unless it is asked for once more.
    fn is_untold(&self) -> bool {
        matches!(self.state, DeliveryState::Retrying | DeliveryState::Failed)
            && !self.waited_for.still()
    }

    /// There is nothing to be said of it but that, and the status.
    fn just_arrived(&self) -> bool {
        self.state == DeliveryState::Delivered && self.logged.is_none()
    }
}

fn keys<'a>(items: impl Iterator<Item = &'a Settlement>) -> (Vec<&'a str>, Vec<&'a str>) {
    let keys = items.map(|item| &item.key);
    keys.map(|key| (&*key.event, key.endpoint.as_str())).unzip()
}

fn statuses<'a>(items: impl Iterator<Item = &'a Settlement>) -> Vec<Option<i32>> {
    let statuses = items.map(|item| item.status);
    statuses.map(|status| status.map(i32::from)).collect()
}
