//! Reads endpoints and subscriptions.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::types::Type;
use tracing::warn;

use super::Topic;
use crate::batch::Work;
use crate::endpoint::{COLUMNS, EndpointId, EndpointRow};
use crate::error::Error;
use crate::session::{Session, column};

/// Reads endpoints by id.
#[derive(Debug)]
pub(super) struct LoadEndpoints {
    pub(super) session: Session,
}

/// Reads pages of subscribers.
#[derive(Debug)]
pub(super) struct LoadSubscribers {
    pub(super) session: Session,
    pub(super) page: usize,
}

/// A page of the subscribers of a topic.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) topic: Topic,
    pub(super) after: Option<Arc<str>>,
}

/// The subscribers of a page, and where the next one begins if this one is full.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) endpoints: Vec<EndpointId>,
    pub(super) next: Option<Arc<str>>,
}

impl Work for LoadEndpoints {
    type Item = EndpointId;
    type Answer = Option<EndpointRow>;

    async fn run(&mut self, items: &[EndpointId]) -> Result<Vec<Option<EndpointRow>>, Error> {
        let ids: Vec<&str> = items.iter().map(EndpointId::as_str).collect();
        let sql = format!("SELECT {COLUMNS} FROM cdc.endpoint WHERE id = ANY ($1)");
        let rows = self
            .session
            .query("read endpoints", &sql, &[(&ids, Type::TEXT_ARRAY)])
            .await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            found.insert(column::<&str>(row, "id")?, row);
        }
        // Two records may ask for the same one at the same time.
        ids.iter()
            .map(|id| found.get(id).map(|row| EndpointRow::read(row)).transpose())
            .collect()
    }
}

/// Two halves, as no index serves "this subject or none". Each is a page of its own, so that their union has a whole one.
/// A type with `.*` at its end stands for all that begin like what is before the star.
const SUBSCRIBERS: &str = "
    SELECT given.place, found.endpoint_id
      FROM unnest($1, $2, $3) WITH ORDINALITY AS given (subject, event_type, after, place)
     CROSS JOIN LATERAL (
        (SELECT DISTINCT endpoint_id FROM cdc.subscription
          WHERE subject = given.subject AND (event_type IS NULL OR event_type = given.event_type
                 OR event_type LIKE '%.*' AND starts_with(given.event_type, left(event_type, -1)))
            AND endpoint_id > given.after
          ORDER BY endpoint_id LIMIT $4)
        UNION
        (SELECT DISTINCT endpoint_id FROM cdc.subscription
          WHERE subject IS NULL AND (event_type IS NULL OR event_type = given.event_type
                 OR event_type LIKE '%.*' AND starts_with(given.event_type, left(event_type, -1)))
            AND endpoint_id > given.after
          ORDER BY endpoint_id LIMIT $4)
        ORDER BY endpoint_id LIMIT $4) AS found
     ORDER BY given.place, found.endpoint_id";

impl Work for LoadSubscribers {
    type Item = Wanted;
    type Answer = Found;

    async fn run(&mut self, items: &[Wanted]) -> Result<Vec<Found>, Error> {
        let subjects: Vec<Option<&str>> = items
            .iter()
            .map(|item| item.topic.subject.as_deref())
            .collect();
        let kinds: Vec<&str> = items.iter().map(|item| &*item.topic.kind).collect();
        // No id is empty, so the empty text comes before all of them.
        let after: Vec<&str> = items
            .iter()
            .map(|item| item.after.as_deref().unwrap_or_default())
            .collect();
        let limit = i64::try_from(self.page).unwrap_or(i64::MAX);
        let rows = self
            .session
            .query(
                "read subscriptions",
                SUBSCRIBERS,
                &[
                    (&subjects, Type::TEXT_ARRAY),
                    (&kinds, Type::TEXT_ARRAY),
                    (&after, Type::TEXT_ARRAY),
                    (&limit, Type::INT8),
                ],
            )
            .await?;
        let mut pages: Vec<(usize, Found)> = items.iter().map(|_| (0, Found::default())).collect();
        for row in &rows {
            let place: i64 = column(row, "place")?;
            let page = usize::try_from(place - 1)
                .ok()
                .and_then(|place| pages.get_mut(place));
            let (size, found) =
                page.ok_or_else(|| Error::unreadable("place", "no such topic was given"))?;
            let id: &str = column(row, "endpoint_id")?;
            *size += 1;
            if *size == self.page {
                found.next = Some(id.into());
            }
            // Only a view can have such a name: no endpoint has.
            match EndpointId::new(id) {
                Ok(id) => found.endpoints.push(id),
                Err(error) => {
                    warn!(%error, "a subscription without a usable endpoint_id is passed over");
                }
            }
        }
        Ok(pages.into_iter().map(|(_, found)| found).collect())
    }
}
