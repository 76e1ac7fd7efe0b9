//! Which rows of the outbox tables Kafka does not have.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use cdc_kafka::scan;
use outbox_scan::ScanPlan;
use tokio_util::sync::CancellationToken;

use super::ids::{EventKey, IdSet};
use super::reader::Reader;
use crate::relay::Relay;
use crate::relay::error::RelayError;
use crate::relay::pipeline::ID_HEADER;

/// Reads the candidates' ids from the tables, then every record of their topics.
pub(super) async fn find_missing(relay: &Relay, plan: ScanPlan) -> Result<IdSet, RelayError> {
    let mut candidates = IdSet::default();
    let mut topics = BTreeSet::new();
    Reader::open(relay, plan)
        .await?
        .for_each(relay, |identity| {
            if !topics.contains(identity.topic) {
                topics.insert(identity.topic.to_owned());
            }
            candidates.insert(EventKey::of(&identity.id))
        })
        .await?;
    tracing::info!(
        candidates = candidates.len(),
        topics = topics.len(),
        "looking in Kafka for the rows that may be missing"
    );
    let missing = Arc::new(Mutex::new(candidates));
    let found = Arc::clone(&missing);
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    let topics: Vec<_> = topics.into_iter().collect();
    scan(&relay.kafka, &topics, cancel, move |record| {
        let id = record.headers().find(|header| header.name == ID_HEADER);
        if let Some(id) = id.and_then(|header| header.value) {
            let mut missing = found.lock().unwrap_or_else(PoisonError::into_inner);
            missing.remove(EventKey::of(id));
        }
    })
    .await
    .map_err(|source| RelayError::Kafka {
        doing: "look for the events that Kafka has",
        source,
    })?;
    let mut missing = missing.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *missing))
}
