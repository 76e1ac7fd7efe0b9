//! Who applied, in PostgreSQL; with the event that says so.

use std::collections::HashMap;

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::database::Database;
use crate::event::{AGGREGATE, TYPE};
use crate::numbers::{Sequence, UserId};
use crate::settings::Mode;

/// The applications that count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applications<'a> {
    pub(crate) database: &'a Database,
    pub(crate) mode: Mode,
}

/// What became of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It counts from now on, and its event will come.
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

    /// Records an application, and with it its event. May be repeated: the second time it is [`Recorded::Already`].
    ///
    /// # Errors
    ///
    /// As [`Database::query`]; it may have been recorded all the same.
    pub(crate) async fn record(&self, user: UserId, sequence: Sequence) -> Result<Recorded> {
        let is_new = match self.mode {
            Mode::Outbox => self.record_with_event(user, sequence).await?,
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
        let sql = "WITH application AS (
                       INSERT INTO coupon.application (user_id, sequence)
                       SELECT $1, $2 FROM coupon.campaign WHERE $2 <= coupons
                       ON CONFLICT DO NOTHING
                       RETURNING user_id, sequence)
                   SELECT cdc.emit($3, user_id::text, $4,
                                   json_build_object('userId', user_id, 'sequence', sequence))
                     FROM application";
        let parameters = [
            (&user.0 as _, Type::INT8),
            (&sequence.0 as _, Type::INT4),
            (&AGGREGATE as _, Type::TEXT),
            (&TYPE as _, Type::TEXT),
        ];
        let events = self
            .database
            .query("record an application", sql, &parameters)
            .await?;
        Ok(!events.is_empty())
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
