//! Changes endpoints.

use std::num::NonZeroU32;

use tokio_postgres::types::Type;

use super::{EndpointInfo, Endpoints, Subscription, columns};
use crate::directory::format;
use crate::endpoint::{EndpointId, Guarantee};
use crate::error::Error;
use crate::session::column;

/// The format that has a template.
const TEMPLATE: &str = "template";

const ENDPOINT: &str = "
    UPDATE cdc.endpoint
       SET url = $3, format = $4, template = $5, guarantee = $6, max_concurrency = $7, rate_per_second = $8, ordered = $9
     WHERE id = $1 AND xmin::text = $2
    RETURNING id";

/// Both or neither; gives what was subscribed to before. What stays is neither deleted nor inserted.
const SUBSCRIPTIONS: &str = "
    gone AS (
        DELETE FROM cdc.subscription AS subscription USING changed
         WHERE subscription.endpoint_id = changed.id AND NOT EXISTS (
            SELECT FROM unnest($10, $11) AS wanted (subject, event_type)
             WHERE ROW(wanted.subject, wanted.event_type)
                   IS NOT DISTINCT FROM ROW(subscription.subject, subscription.event_type))),
    added AS (
        INSERT INTO cdc.subscription (endpoint_id, subject, event_type)
        SELECT DISTINCT changed.id, subject, event_type FROM changed, unnest($10, $11) AS wanted (subject, event_type)
            ON CONFLICT DO NOTHING)
    SELECT before.endpoint_id IS NOT NULL AS is_one, before.subject, before.event_type
      FROM changed LEFT JOIN cdc.subscription AS before ON before.endpoint_id = changed.id
     ORDER BY before.subject, before.event_type";

/// What is to be another of an endpoint; `None` leaves it as it is.
#[derive(Default)]
pub struct EndpointChange {
    /// Where to.
    pub url: Option<String>,
    /// The name of a [`webhook::Format`]. Any but `template` takes the template away.
    pub format: Option<String>,
    /// The template, for the format `template`.
    pub template: Option<String>,
    /// What to do when it is not known whether a request arrived.
    pub guarantee: Option<Guarantee>,
    /// Requests in flight.
    pub max_concurrency: Option<NonZeroU32>,
    /// Requests a second; `Some(None)` takes the limit away.
    pub rate_per_second: Option<Option<f64>>,
    /// Whether a record waits until the endpoint has answered.
    pub ordered: Option<bool>,
    /// What it gets, in place of what it got.
    pub subscriptions: Option<Vec<Subscription>>,
}

/// An endpoint before and after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedEndpoint {
    /// As it was.
    pub before: EndpointInfo,
    /// As it is.
    pub after: EndpointInfo,
    /// What it got before; `None` if that was not to be changed.
    pub subscribed_before: Option<Vec<Subscription>>,
}

impl Endpoints {
    /// Changes an endpoint, all of it or nothing. Retries go to where it is then.
    ///
    /// # Errors
    ///
    /// [`Error::NoEndpoint`], and those of [`add`](Self::add).
    pub async fn change(
        &mut self,
        id: &EndpointId,
        change: &EndpointChange,
    ) -> Result<ChangedEndpoint, Error> {
        if let Some(url) = &change.url {
            self.check_url(url)?;
        }
        loop {
            let row = self.row(id).await?;
            let revision = row.revision.clone();
            let before = EndpointInfo::from(row);
            let after = change.applied_to(&before)?;
            // Whoever was faster changed what this is based on.
            if let Some(subscribed_before) = self
                .replace(&revision, &after, change.subscriptions.as_deref())
                .await?
            {
                return Ok(ChangedEndpoint {
                    before,
                    after,
                    subscribed_before,
                });
            }
        }
    }

    /// Writes it down, unless the endpoint is no longer of this revision: then nothing is done, and `None` given.
    async fn replace(
        &mut self,
        revision: &str,
        after: &EndpointInfo,
        subscriptions: Option<&[Subscription]>,
    ) -> Result<Option<Option<Vec<Subscription>>>, Error> {
        let (id, guarantee) = (after.id.as_str(), after.guarantee.as_str());
        let max_concurrency = after.limits.stored_concurrency();
        let mut parameters = vec![
            (&id as _, Type::TEXT),
            (&revision as _, Type::TEXT),
            (&after.url as _, Type::TEXT),
            (&after.format as _, Type::TEXT),
            (&after.template as _, Type::TEXT),
            (&guarantee as _, Type::TEXT),
            (&max_concurrency as _, Type::INT4),
            (&after.limits.rate_per_second as _, Type::FLOAT8),
            (&after.limits.ordered as _, Type::BOOL),
        ];
        let (subjects, types) = columns(subscriptions.unwrap_or_default());
        let sql = if subscriptions.is_some() {
            parameters.push((&subjects as _, Type::TEXT_ARRAY));
            parameters.push((&types as _, Type::TEXT_ARRAY));
            format!("WITH changed AS ({ENDPOINT}), {SUBSCRIPTIONS}")
        } else {
            ENDPOINT.to_owned()
        };
        let rows = self
            .session
            .query("change an endpoint", &sql, &parameters)
            .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        if subscriptions.is_none() {
            return Ok(Some(None));
        }
        let mut before = Vec::new();
        for row in &rows {
            if column(row, "is_one")? {
                before.push(Subscription {
                    subject: column(row, "subject")?,
                    event_type: column(row, "event_type")?,
                });
            }
        }
        Ok(Some(Some(before)))
    }
}

impl EndpointChange {
    fn applied_to(&self, before: &EndpointInfo) -> Result<EndpointInfo, Error> {
        let mut after = before.clone();
        if let Some(url) = &self.url {
            after.url.clone_from(url);
        }
        if let Some(format) = &self.format {
            after.format.clone_from(format);
            if format != TEMPLATE {
                after.template = None;
            }
        }
        if let Some(template) = &self.template {
            after.template = Some(template.clone());
        }
        if self.format.is_some() || self.template.is_some() {
            format(&after.format, after.template.as_deref())?;
        }
        after.guarantee = self.guarantee.unwrap_or(before.guarantee);
        let limits = &mut after.limits;
        limits.max_concurrency = self.max_concurrency.unwrap_or(limits.max_concurrency);
        limits.rate_per_second = self.rate_per_second.unwrap_or(limits.rate_per_second);
        limits.ordered = self.ordered.unwrap_or(limits.ordered);
        Ok(after)
    }
}

impl std::fmt::Debug for EndpointChange {
    /// Without the URL: the path of a chat's webhook is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointChange")
            .field("format", &self.format)
            .field("guarantee", &self.guarantee)
            .finish_non_exhaustive()
    }
}
