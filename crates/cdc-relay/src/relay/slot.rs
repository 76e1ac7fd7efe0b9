//! The slot as the server has it, looked at before it is streamed from.

use pg_lsn::Lsn;
use pg_replication::pgoutput::Xid;
use pg_replication::{Session, SlotName, quote_literal};

use super::error::RelayError;
use super::gap::SlotFacts;

/// What is known of the slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotLook {
    pub(super) facts: SlotFacts,
    /// Rows with an older `xmin` never come by the stream.
    pub(super) catalog_xmin: Option<Xid>,
}

/// A slot of another plugin or database looks ready: to stream from it fails, with an error that says more.
pub(super) async fn look(session: &mut Session, slot: &SlotName) -> Result<SlotLook, RelayError> {
    let literal = quote_literal(slot.as_str());
    // As JSON since older servers lack `invalidation_reason`.
    let sql = format!(
        "SELECT confirmed_flush_lsn, catalog_xmin,
                wal_status = 'lost' OR pg_catalog.to_jsonb(slots) ->> 'invalidation_reason' IS NOT NULL
           FROM pg_catalog.pg_replication_slots slots WHERE slot_name = {literal}"
    );
    let rows = session
        .simple_query(&sql)
        .await
        .map_err(|source| RelayError::Postgres {
            doing: "look at the replication slot",
            source,
        })?;
    let Some(row) = rows.first() else {
        return Ok(SlotLook {
            facts: SlotFacts::Missing,
            catalog_xmin: None,
        });
    };
    let confirmed = row.get(0).and_then(|text| text.parse::<Lsn>().ok());
    Ok(SlotLook {
        facts: match (row.get(2), confirmed) {
            (Some("t"), _) => SlotFacts::Lost,
            (_, confirmed) => SlotFacts::Ready {
                confirmed: confirmed.unwrap_or(Lsn::ZERO),
            },
        },
        catalog_xmin: row.get(1).and_then(|text| text.parse().ok()).map(Xid),
    })
}
