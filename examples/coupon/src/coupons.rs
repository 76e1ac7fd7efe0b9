//! The coupons that were issued.

use anyhow::Result;
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::database::Database;
use crate::numbers::{Sequence, UserId};

/// The coupons, in PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coupons<'a>(pub(crate) &'a Database);

/// What became of a request for a coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issued {
    /// The user has it, now or since an earlier time.
    Done,
    /// What it is worth has not been decided yet.
    NoDiscount,
    /// There is no such application: whoever wrote the request made it up.
    NoApplication,
}

/// How far the campaign has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Campaign {
    pub(crate) limit: i32,
    pub(crate) discount: Option<i32>,
    pub(crate) applications: i64,
    pub(crate) coupons: i64,
    /// Coupons that the handler of dead letters has issued.
    pub(crate) rescued: i64,
}

impl Coupons<'_> {
    /// Issues a coupon to who applied. May be repeated: a user gets one, and a number is used once.
    ///
    /// `rescued_from` is why it failed before, when a handler of dead letters issues it.
    ///
    /// # Errors
    ///
    /// As [`Database::query`]; it may have been issued all the same.
    pub(crate) async fn issue(
        &self,
        user: UserId,
        sequence: Sequence,
        rescued_from: Option<&str>,
    ) -> Result<Issued> {
        let sql = "WITH wanted AS (
                       SELECT user_id, sequence, discount
                         FROM coupon.application, coupon.campaign
                        WHERE user_id = $1 AND sequence = $2 AND sequence <= coupons),
                   issued AS (
                       INSERT INTO coupon.coupon (user_id, sequence, discount, rescued_from)
                       SELECT user_id, sequence, discount, $3 FROM wanted WHERE discount IS NOT NULL
                       ON CONFLICT DO NOTHING)
                   SELECT discount FROM wanted";
        let parameters = [
            (&user.0 as _, Type::INT8),
            (&sequence.0 as _, Type::INT4),
            (&rescued_from as _, Type::TEXT),
        ];
        let rows = self.0.query("issue a coupon", sql, &parameters).await?;
        // An application has its user and its number for itself: a coupon that was there already is this one.
        Ok(match rows.first().map(|row| row.get::<_, Option<i32>>(0)) {
            Some(Some(_)) => Issued::Done,
            Some(None) => Issued::NoDiscount,
            None => Issued::NoApplication,
        })
    }

    /// Decides what coupons are worth from now on, in percent from 1 to 100.
    ///
    /// # Errors
    ///
    /// As [`Database::query`].
    pub(crate) async fn set_discount(&self, percent: i32) -> Result<()> {
        let sql = "UPDATE coupon.campaign SET discount = $1";
        let parameters = [(&percent as _, Type::INT4)];
        self.0
            .query("decide the discount", sql, &parameters)
            .await?;
        Ok(())
    }

    /// How far it has come.
    ///
    /// # Errors
    ///
    /// As [`Database::query`], and when the campaign was never opened.
    pub(crate) async fn campaign(&self) -> Result<Campaign> {
        let sql = "SELECT coupons, discount, (SELECT count(*) FROM coupon.application),
                          (SELECT count(*) FROM coupon.coupon), (SELECT count(rescued_from) FROM coupon.coupon)
                     FROM coupon.campaign";
        let rows = self.0.query("look at the campaign", sql, &[]).await?;
        let row = rows
            .first()
            .ok_or_else(|| anyhow::anyhow!("there is no campaign"))?;
        Ok(Campaign {
            limit: row.get(0),
            discount: row.get(1),
            applications: row.get(2),
            coupons: row.get(3),
            rescued: row.get(4),
        })
    }
}
