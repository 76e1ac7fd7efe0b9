//! Who applied, in PostgreSQL; and the event that says so.

use std::collections::HashMap;

use anyhow::{Context, Result};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::announcing::{Announcing, Unannounced};
use crate::database::Database;
use crate::event::{AGGREGATE, CouponRequested, TYPE};
use crate::numbers::{Sequence, UserId};

/// A row, unless the user or the number has one, or there are not so many coupons.
const INSERT: &str = "INSERT INTO coupon.application (user_id, sequence)
                      SELECT $1, $2 FROM coupon.campaign WHERE $2 <= coupons
                      ON CONFLICT DO NOTHING
                      RETURNING user_id, sequence, event_id";

/// The applications that count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applications<'a> {
    pub(crate) database: &'a Database,
    pub(crate) announcing: &'a Announcing,
}

/// What became of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It counts from now on.
    New,
    /// The user had applied, with this number.
    Already(Sequence),
    /// The number is another user's.
    Taken,
    /// There are not so many coupons.
    BeyondLimit,
}

impl Applications<'_> {
    /// Says how many coupons there are, and what they are worth unless that was said before.
    ///
    /// # Errors
    ///
    /// As [`Database::query`].
    pub(crate) async fn open(&self, coupons: i32, discount: i32) -> Result<()> {
        let sql = "INSERT INTO coupon.campaign (coupons, discount) VALUES ($1, nullif($2, 0))
                   ON CONFLICT (the_only_one) DO UPDATE
                      SET coupons = EXCLUDED.coupons, discount = coalesce(campaign.discount, EXCLUDED.discount)";
        let parameters = [(&coupons as _, Type::INT4), (&discount as _, Type::INT4)];
        self.database
            .query("open the campaign", sql, &parameters)
            .await?;
        Ok(())
    }

    /// Records an application, together with its event if that is made in the transaction. May be repeated: the second
    /// time it is [`Recorded::Already`].
    ///
    /// # Errors
    ///
    /// As [`Database::query`]; it may have been recorded all the same.
    pub(crate) async fn record(&self, user: UserId, sequence: Sequence) -> Result<Recorded> {
        let is_new = match self.announcing {
            Announcing::InTransaction => self.record_with_event(user, sequence).await?,
            Announcing::Guarded(_) => self.record_alone(user, sequence).await?,
        };
        if is_new {
            return Ok(Recorded::New);
        }
        let sql =
            "SELECT user_id, sequence FROM coupon.application WHERE user_id = $1 OR sequence = $2";
        let parameters = [(&user.0 as _, Type::INT8), (&sequence.0 as _, Type::INT4)];
        let rows = self
            .database
            .query("look for an application", sql, &parameters)
            .await?;
        let of_user = rows.iter().find(|row| row.get::<_, i64>(0) == user.0);
        Ok(match of_user {
            Some(row) => Recorded::Already(Sequence(row.get(1))),
            None if rows.is_empty() => Recorded::BeyondLimit,
            None => Recorded::Taken,
        })
    }

    /// The row and its event are one statement, hence one transaction: there is never one without the other.
    async fn record_with_event(&self, user: UserId, sequence: Sequence) -> Result<bool> {
        let sql = format!(
            "WITH application AS ({INSERT})
             SELECT cdc.emit($3, user_id::text, $4,
                             json_build_object('userId', user_id, 'sequence', sequence), NULL, event_id)
               FROM application"
        );
        let parameters = [
            (&user.0 as _, Type::INT8),
            (&sequence.0 as _, Type::INT4),
            (&AGGREGATE as _, Type::TEXT),
            (&TYPE as _, Type::TEXT),
        ];
        let events = self
            .database
            .query("record an application", &sql, &parameters)
            .await?;
        Ok(!events.is_empty())
    }

    /// The row alone: its event is sent when it is there for certain.
    async fn record_alone(&self, user: UserId, sequence: Sequence) -> Result<bool> {
        let parameters = [(&user.0 as _, Type::INT8), (&sequence.0 as _, Type::INT4)];
        let rows = self
            .database
            .query("record an application", INSERT, &parameters)
            .await?;
        Ok(!rows.is_empty())
    }

    /// Sends the events of applications that have no coupon yet, of one user or of all; how many. Those that were made
    /// in the transaction are on their way already.
    ///
    /// May be repeated: an event has its id, and is harmless the second time.
    ///
    /// # Errors
    ///
    /// As [`Database::query`] and [`Unannounced::send`]; some may have been sent.
    pub(crate) async fn announce(&self, of: Option<UserId>) -> Result<usize> {
        let producer = match self.announcing {
            Announcing::InTransaction => return Ok(0),
            Announcing::Guarded(producer) => producer,
        };
        let unannounced = self.without_coupon(of).await?;
        for application in &unannounced {
            application.send(producer).await?;
        }
        Ok(unannounced.len())
    }

    async fn without_coupon(&self, of: Option<UserId>) -> Result<Vec<Unannounced>> {
        let sql = "SELECT event_id::text, user_id, sequence
                     FROM coupon.application LEFT JOIN coupon.coupon USING (user_id, sequence)
                    WHERE issued_at IS NULL AND ($1 IS NULL OR user_id = $1)
                    ORDER BY sequence";
        let user = of.map(|user| user.0);
        let rows = self
            .database
            .query(
                "look for applications without a coupon",
                sql,
                &[(&user as _, Type::INT8)],
            )
            .await?;
        rows.iter().map(Unannounced::read).collect()
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// As [`Database::query`].
    pub(crate) async fn all(&self) -> Result<HashMap<UserId, Sequence>> {
        let sql = "SELECT user_id, sequence FROM coupon.application";
        let rows = self
            .database
            .query("read the applications", sql, &[])
            .await?;
        let pairs = rows
            .iter()
            .map(|row| (UserId(row.get(0)), Sequence(row.get(1))));
        Ok(pairs.collect())
    }
}

impl Unannounced {
    fn read(row: &Row) -> Result<Self> {
        let id: &str = row.get(0);
        Ok(Self {
            id: id.parse().context("the id of an event")?,
            request: CouponRequested {
                user_id: UserId(row.get(1)),
                sequence: Sequence(row.get(2)),
            },
        })
    }
}
