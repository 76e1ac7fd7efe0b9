//! Rows of `cdc.endpoint`.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;

use super::{EndpointId, EndpointState, Guarantee, Limits};
use crate::error::Error;
use crate::gate::Closing;
use crate::session::column;

/// What [`EndpointRow::read`] needs. `xmin` changes whenever the row does.
pub(crate) const COLUMNS: &str = "id, xmin::text AS revision, url, format, template, secrets, old_secret_until, \
     guarantee, max_concurrency, rate_per_second, ordered, state, disabled_reason, disabled_at, \
     first_failed_at, created_at, failures_in_a_row, \
     extract(epoch FROM closed_until - now())::float8 AS closed_for";

/// An endpoint as it is stored. No `Debug`: its secrets may be stored as they are.
pub(crate) struct EndpointRow {
    pub(crate) id: EndpointId,
    /// Another one whenever something of it changed.
    pub(crate) revision: String,
    pub(crate) url: String,
    pub(crate) format: String,
    pub(crate) template: Option<String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) old_secret_until: Option<SystemTime>,
    pub(crate) guarantee: Guarantee,
    pub(crate) limits: Limits,
    pub(crate) state: EndpointState,
    pub(crate) first_failed_at: Option<SystemTime>,
    pub(crate) created_at: SystemTime,
    pub(crate) closing: Option<Closing>,
}

impl EndpointRow {
    /// From [`COLUMNS`].
    pub(crate) fn read(row: &Row) -> Result<Self, Error> {
        let id: &str = column(row, "id")?;
        let guarantee: &str = column(row, "guarantee")?;
        let max_concurrency: i32 = column(row, "max_concurrency")?;
        Ok(Self {
            id: EndpointId::new(id).map_err(|error| Error::unreadable("id", error))?,
            revision: column(row, "revision")?,
            url: column(row, "url")?,
            format: column(row, "format")?,
            template: column(row, "template")?,
            secrets: column(row, "secrets")?,
            old_secret_until: column(row, "old_secret_until")?,
            guarantee: guarantee
                .parse()
                .map_err(|error| Error::unreadable("guarantee", error))?,
            limits: Limits {
                max_concurrency: NonZeroU32::new(max_concurrency.unsigned_abs())
                    .unwrap_or(NonZeroU32::MIN),
                rate_per_second: column(row, "rate_per_second")?,
                ordered: column(row, "ordered")?,
            },
            state: match column::<Option<SystemTime>>(row, "disabled_at")? {
                None => EndpointState::Enabled,
                Some(since) => EndpointState::Disabled {
                    reason: column::<Option<String>>(row, "disabled_reason")?.unwrap_or_default(),
                    since,
                },
            },
            first_failed_at: column(row, "first_failed_at")?,
            created_at: column(row, "created_at")?,
            closing: closing(row)?,
        })
    }
}

/// How the endpoint was left. The time is the server's, so that no two clocks are compared.
fn closing(row: &Row) -> Result<Option<Closing>, Error> {
    let failures: Option<i32> = column(row, "failures_in_a_row")?;
    let left: Option<f64> = column(row, "closed_for")?;
    Ok(failures.map(|failures| Closing {
        failures: failures.unsigned_abs(),
        // Negative when it is over.
        left: Duration::try_from_secs_f64(left.unwrap_or_default()).unwrap_or_default(),
    }))
}
