//! A second look at a failure: SQLSTATEs are few, and messages are in the server's language, but the catalogs
//! say what a slot is.

use std::time::Duration;

use tokio::time::timeout;

use crate::config::Config;
use crate::database::{Database, SlotState};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// The failure is reported as it was when the second look takes longer.
const LIMIT: Duration = Duration::from_secs(5);

/// What is wrong with the slot, if `failure` is about the slot and the server can be asked; otherwise `failure`.
pub(crate) async fn refine(failure: Failure, config: &Config) -> Failure {
    if !concerns_slot(failure.code()) {
        return failure;
    }
    let looked = timeout(LIMIT, async {
        Database::connect(config).await?.slot(config).await
    })
    .await;
    let Ok(Ok(Some(slot))) = looked else {
        return failure;
    };
    match better(&slot, failure.code()) {
        Some(better) => better.caused_by(failure.into_source()),
        None => failure,
    }
}

fn better(slot: &SlotState, code: ErrorCode) -> Option<Failure> {
    if let Some(mismatch) = slot.mismatch() {
        return Some(Failure::slot_foreign(&slot.name, &mismatch));
    }
    // Who knows that already also knows whether something is missing for it.
    if slot.is_lost() && code != ErrorCode::SlotLost {
        return Some(Failure::slot_lost(&slot.name));
    }
    match &slot.holder {
        Some(holder) if code == ErrorCode::SlotInUse => Some(Failure::new(
            ErrorCode::SlotInUse,
            format!("the slot {:?} is in use by {holder}", slot.name),
            "a standby waits and takes over by itself; end the other one if it should not run",
        )),
        _ => None,
    }
}

/// Codes that the SQLSTATEs 0A000, 22023, 55000 and 55006 lead to.
fn concerns_slot(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::SlotForeign
            | ErrorCode::SlotLost
            | ErrorCode::SlotInUse
            | ErrorCode::PostgresRefused
    )
}
