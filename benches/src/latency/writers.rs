//! Connections that commit one event each at evenly spaced moments.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cdc_e2e::database::Session;
use tokio::task::JoinSet;
use tokio_postgres::Statement;

use super::EventNumber;
use crate::outbox::Outbox;

/// Connections that take turns, so that a slow commit does not hold up the next event.
const CONNECTIONS: u32 = 8;

/// Which events were committed, and when their writers knew.
pub(super) type Commits = Vec<(EventNumber, Instant)>;

/// Ready to write.
pub(super) struct Writers {
    writers: Vec<Arc<Writer>>,
    /// Time from one event to the next.
    interval: Duration,
}

struct Writer {
    session: Session,
    insert: Statement,
}

impl Writers {
    /// Opens the connections, for `rate` events a second.
    pub(super) async fn connect(outbox: &Outbox, rate: u32) -> Result<Self> {
        let insert = "INSERT INTO cdc.outbox (id, aggregatetype, aggregateid, type, payload)
                      VALUES ($1::text::uuid, 'order', $2, 'OrderPlaced', $3::text::json)";
        let mut writers = Vec::new();
        for _ in 0..CONNECTIONS {
            let session = outbox.session().await?;
            let insert = session.prepare(insert).await?;
            writers.push(Arc::new(Writer { session, insert }));
        }
        let interval = Duration::from_secs(1) / rate;
        Ok(Self { writers, interval })
    }

    /// Commits the events one by one, each at its moment or, if its connection is late, as soon as that is free.
    pub(super) async fn write(&self, events: Range<u32>) -> Result<Commits> {
        let (started, interval) = (Instant::now(), self.interval);
        let mut tasks = JoinSet::new();
        for (offset, writer) in (0..CONNECTIONS).zip(&self.writers) {
            let writer = Arc::clone(writer);
            let first = events.start;
            let share = (first + offset..events.end).step_by(CONNECTIONS as usize);
            tasks.spawn(async move {
                let mut commits = Commits::new();
                for number in share {
                    let due = started + interval * (number - first);
                    tokio::time::sleep_until(due.into()).await;
                    writer.commit(EventNumber(number)).await?;
                    commits.push((EventNumber(number), Instant::now()));
                }
                anyhow::Ok(commits)
            });
        }
        let mut commits = Commits::new();
        while let Some(share) = tasks.join_next().await {
            commits.extend(share.context("a writer")??);
        }
        Ok(commits)
    }
}

impl Writer {
    async fn commit(&self, event: EventNumber) -> Result<()> {
        let key = (event.0 % 1000).to_string();
        self.session
            .execute(&self.insert, &[&event.id(), &key, &payload(event)])
            .await?;
        Ok(())
    }
}

/// As long as the payloads of a backlog.
fn payload(event: EventNumber) -> String {
    let filler = "x".repeat(457);
    format!(r#"{{"order":"{:010}","note":"{filler}"}}"#, event.0)
}

impl EventNumber {
    /// The event's `id`, which tells its number.
    pub(super) fn id(self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.0)
    }

    /// The number in a header `id`.
    pub(super) fn from_id(id: &[u8]) -> Option<Self> {
        let (_, digits) = std::str::from_utf8(id).ok()?.rsplit_once('-')?;
        u32::from_str_radix(digits, 16).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::PAYLOAD_BYTES;

    #[test]
    fn an_id_tells_the_number() {
        let id = EventNumber(40_123).id();
        assert_eq!(id.len(), 36);
        assert_eq!(
            EventNumber::from_id(id.as_bytes()),
            Some(EventNumber(40_123))
        );
        assert_eq!(EventNumber::from_id(b"order"), None);
    }

    #[test]
    fn payloads_are_as_long_as_those_of_a_backlog() {
        let length = i32::try_from(payload(EventNumber(7)).len()).unwrap();
        assert_eq!(length, PAYLOAD_BYTES);
    }
}
