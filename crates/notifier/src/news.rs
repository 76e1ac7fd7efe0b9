//! What people are to hear of endpoints, until they have heard it.

use std::time::{Duration, SystemTime};

use pg_replication::ConnectOptions;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::alert::{DisabledReason, Warning};
use crate::endpoint::EndpointId;
use crate::error::Error;
use crate::session::{Session, column};

/// Something that an endpoint's people should know, and nobody was told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// What became of it.
    pub what: NewsKind,
    /// When. With the endpoint, it is what tells these news from others.
    pub at: SystemTime,
    /// How often it was taken up before.
    pub tries: u32,
}

/// What became of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewsKind {
    /// The notifier disabled it.
    Disabled(DisabledReason),
    /// It does nothing but fail.
    Failing(Warning),
}

/// The news that wait in the database of the notifier, written there with what they are about: one session.
///
/// An endpoint has its last news only. Those that are no longer true, as it was enabled again or works, are forgotten when
/// they come to be told.
#[derive(Debug)]
pub struct UntoldNews {
    session: Session,
    disable_after: Option<Duration>,
}

/// Of several at a time each takes others: the rows are locked, and then not due.
const TAKE: &str = "
    WITH due AS MATERIALIZED (
        SELECT id, news_tries AS tries,
               coalesce(CASE WHEN news_percent IS NULL THEN disabled_at = news_at
                             ELSE state = 'enabled' AND first_failed_at <= news_at END, false) AS holds
          FROM cdc.endpoint WHERE news_due_at <= now()
         ORDER BY news_due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
    UPDATE cdc.endpoint AS endpoint
       SET news_at = CASE WHEN holds THEN news_at END,
           news_percent = CASE WHEN holds THEN news_percent END,
           news_due_at = CASE WHEN holds THEN now() + make_interval(secs => $2) END,
           news_tries = CASE WHEN holds THEN tries + 1 END
      FROM due WHERE endpoint.id = due.id
    RETURNING endpoint.id AS id, holds, news_at, tries, disabled_reason, news_percent AS percent,
              extract(epoch FROM first_failed_at + make_interval(secs => $3) - now())::float8 AS seconds_left";

const TOLD: &str = "
    UPDATE cdc.endpoint SET news_at = NULL, news_percent = NULL, news_due_at = NULL, news_tries = NULL
     WHERE id = $1 AND news_at = $2";

const PUT_OFF: &str = "
    UPDATE cdc.endpoint SET news_due_at = now() + make_interval(secs => $3) WHERE id = $1 AND news_at = $2";

impl UntoldNews {
    /// A session that is made when it is first needed. `limit` is the time that a statement may take, `disable_after` that of
    /// the notifier's settings.
    #[must_use]
    pub fn new(options: &ConnectOptions, limit: Duration, disable_after: Option<Duration>) -> Self {
        Self {
            session: Session::new(options.clone(), limit),
            disable_after,
        }
    }

    /// Takes up to `limit` news that are due. Nobody else gets them until `lease` is over; whoever is gone by then may have
    /// told them.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn take(&mut self, limit: u32, lease: Duration) -> Result<Vec<News>, Error> {
        let (limit, lease) = (i64::from(limit), lease.as_secs_f64());
        let disable_after = self.disable_after.map(|after| after.as_secs_f64());
        let parameters = [
            (&limit as _, Type::INT8),
            (&lease as _, Type::FLOAT8),
            (&disable_after as _, Type::FLOAT8),
        ];
        let rows = self
            .session
            .query("look for news of endpoints", TAKE, &parameters)
            .await?;
        rows.iter()
            .filter_map(|row| news(row).transpose())
            .collect()
    }

    /// They were told.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn told(&mut self, news: &News) -> Result<(), Error> {
        let parameters = [
            (&news.endpoint.as_str() as _, Type::TEXT),
            (&news.at as _, Type::TIMESTAMPTZ),
        ];
        let doing = "write down that news were told";
        self.session.execute(doing, TOLD, &parameters).await?;
        Ok(())
    }

    /// They could not be told, and are due again after `pause`.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`].
    pub async fn put_off(&mut self, news: &News, pause: Duration) -> Result<(), Error> {
        let pause = pause.as_secs_f64();
        let parameters = [
            (&news.endpoint.as_str() as _, Type::TEXT),
            (&news.at as _, Type::TIMESTAMPTZ),
            (&pause as _, Type::FLOAT8),
        ];
        self.session
            .execute("put off news", PUT_OFF, &parameters)
            .await?;
        Ok(())
    }
}

/// `None` if they are no longer true.
fn news(row: &Row) -> Result<Option<News>, Error> {
    if !column(row, "holds")? {
        return Ok(None);
    }
    let (id, tries): (&str, i32) = (column(row, "id")?, column(row, "tries")?);
    let what = match column::<Option<i32>>(row, "percent")? {
        None => {
            let reason: Option<&str> = column(row, "disabled_reason")?;
            NewsKind::Disabled(DisabledReason::stored(reason.unwrap_or_default()))
        }
        Some(percent) => {
            let left: Option<f64> = column(row, "seconds_left")?;
            let left = Duration::try_from_secs_f64(left.unwrap_or_default()).unwrap_or_default();
            let percent = u8::try_from(percent).unwrap_or(u8::MAX);
            NewsKind::Failing(Warning { percent, left })
        }
    };
    Ok(Some(News {
        endpoint: EndpointId::new(id).map_err(|error| Error::unreadable("id", error))?,
        what,
        at: column(row, "news_at")?,
        tries: tries.unsigned_abs(),
    }))
}
