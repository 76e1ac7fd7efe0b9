//! What is left of a record, as the functions of the database take it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::remainder::Remainder;
use cdc_event::DeadHead;

pub(super) fn to_json(remainders: &[Remainder], policy: DeadHead) -> Value {
    let now = SystemTime::now();
    let object = |remainder: &Remainder| {
        let attempt = remainder.attempt;
        json!({
            "part": remainder.part.as_ref().map_or("", |part| part.as_str()),
            "status": remainder.status(policy).as_str(),
            "attempts": i32::try_from(attempt.number.get()).unwrap_or(i32::MAX),
            "delays": remainder.delays,
            "due": remainder.due().map(|after| after.as_secs_f64()),
            "first_failed": attempt.first_failed_at.and_then(|at| seconds(at, now)),
            "code": remainder.error.code(),
            "message": remainder.error.message(),
            "chain": remainder.error.chain(),
        })
    };
    Value::Array(remainders.iter().map(object).collect())
}

/// Seconds since 1970. The time may be somebody else's word: nothing failed in the future, or before Kafka was.
fn seconds(at: SystemTime, now: SystemTime) -> Option<f64> {
    (at <= now)
        .then(|| at.duration_since(UNIX_EPOCH).ok())
        .flatten()
        .as_ref()
        .map(Duration::as_secs_f64)
}
